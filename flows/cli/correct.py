"""`stenoflow correct JOB FILE`: what the desk takes from a form, as a file."""

from __future__ import annotations

import getpass
import json as json_module
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import count, json_line, say
from stenoflow.flows.cli.jobs import find_job
from stenoflow.storage.database.corrections import NewCorrection
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.publish import document_of, is_whole, publish_recording
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.corrections import differences, stretch_in, text_in
from stenoflow.tasks.transcript.types import Transcript

_MOST_BYTES = 100_000_000
_SUBTITLES = frozenset({".srt", ".vtt", ".ass"})


def correct(
    job: Annotated[str, typer.Argument(help="A job, or the beginning of its id.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(
            help="Its transcript, edited (.txt, .srt, .vtt); or a list of corrections (.json).",
            show_default=False,
        ),
    ],
    json: options.Json = False,
) -> None:
    r"""Correct a transcript by a file: over whatever a model says, in all artifacts; calls nobody.

    In JSON, in seconds: \[{"start": 1.5, "end": 4, "text": "…"}, {"start": 9, "end": 12, "speaker": "Anna"}].
    A correction can be undone at the desk.

    Example: [bold]stenoflow correct 3f9a2c board-meeting.txt[/]
    """
    text = _read(file)
    with open_context(load_settings()) as context:
        line = find_job(context, job)
        if not is_whole(context, line.job):
            raise SettingsError(f"job {line.job.id} has no transcript that could be corrected")
        seen = context.corrections.last(line.recording.id)
        document = document_of(context, line.job, context.catalog.segments(line.job.id))
        if file.suffix.lower() == ".json":
            made = list(_of_json(text, document.transcript))
        else:
            plain = _spoken(text, file.suffix.lower(), document.speakers)
            made = list(_of_text(plain, document.transcript))
        context.corrections.add(line.recording.id, made, _who(), seen)
        if made:
            publish_recording(context, line.recording.id)
    if json:
        json_line({"job": line.job.id, "recording": line.recording.id, "corrections": len(made)})
    else:
        say(f"{line.recording.name}: {count(len(made), 'correction')}")


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"{file} is too large for a transcript")
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"cannot read {file}: {reason}") from error


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "command line"


def _of_json(text: str, transcript: Transcript) -> Iterator[NewCorrection]:
    try:
        entries: Any = json_module.loads(text)
        for each in entries:
            region = stretch_in(transcript, round(1000 * each["start"]), round(1000 * each["end"]))
            said, speaker = each.get("text"), each.get("speaker")
            if not isinstance(said or speaker, str):
                raise TypeError
            if said is not None:
                before = text_in(transcript, region, None)
                yield NewCorrection(region.start_ms, region.end_ms, before, text=str(said))
            if speaker is not None:
                yield NewCorrection(region.start_ms, region.end_ms, "", speaker=str(speaker))
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise SettingsError(
            "the file is no list of corrections of this recording",
            'like [{"start": 1.5, "end": 4, "text": "…"}]',
        ) from error


def _of_text(text: str, transcript: Transcript) -> Iterator[NewCorrection]:
    words = [word for utterance in transcript.utterances for word in utterance.words]
    for each in differences(words, text):
        before = text_in(transcript, each.region, None)
        yield NewCorrection(each.region.start_ms, each.region.end_ms, before, text=each.text)


def _spoken(text: str, suffix: str, speakers: list[str]) -> str:
    """Return what is said in an edited file: without times, speakers and notes of what is missing."""
    if suffix in _SUBTITLES:
        import pysubs2  # noqa: PLC0415 - only for subtitles

        try:
            lines = [each.plaintext for each in pysubs2.SSAFile.from_string(text, format_=suffix[1:])]
        except pysubs2.exceptions.Pysubs2Error as error:
            raise SettingsError(f"that is no {suffix[1:]}: {error}") from error
    else:
        lines = text.splitlines()
    said = []
    for line in "\n".join(lines).splitlines():
        name, colon, rest = line.strip().removeprefix("- ").partition(": ")
        shown = rest if colon and name in speakers else line
        if not shown.strip().startswith("[missing "):
            said.append(shown)
    return "\n".join(said)
