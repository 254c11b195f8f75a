"""`stenoflow correct JOB [FILE]`: what the desk takes from a form, as a file; and undone."""

from __future__ import annotations

import getpass
import json as json_module
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import count, json_line, say
from stenoflow.flows.cli.jobs import SHORT_ID, find_job
from stenoflow.storage.database.corrections import NewCorrection
from stenoflow.storage.database.reports import JobLine
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.publish import document_of, is_whole, publish_recording
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.corrections import differences, lost_words, stretch_in, text_in
from stenoflow.tasks.transcript.text import split_words
from stenoflow.tasks.transcript.types import Transcript

_MOST_BYTES = 100_000_000
_SUBTITLES = (".srt", ".vtt", ".ass")
_READ = (".txt", *_SUBTITLES, ".json")
# Control signs but those that part words and lines: in no transcript, and in most files of other kinds.
_CONTROL = re.compile("[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f]")
_UNCHANGED = "nothing was changed"


def correct(
    job: Annotated[str, typer.Argument(help="A job, or the beginning of its id.", show_default=False)],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Its transcript, edited (.txt, .srt, .vtt, .ass); or a list of corrections (.json).",
            show_default=False,
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Without a file: undo the last corrections.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also where fewer than half of the transcript's words stay.")
    ] = False,
    json: options.Json = False,
) -> None:
    r"""Correct a transcript by a file: over whatever a model says, in all artifacts; calls nobody.

    In JSON, in seconds: \[{"start": 1.5, "end": 4, "text": "…"}, {"start": 9, "end": 12, "speaker": "Anna"}].

    Example: [bold]stenoflow correct 3f9a2c board-meeting.txt[/]
    """
    if (file is None) != undo:
        raise SettingsError("give either a file or --undo")
    given = None if file is None else (file, _read(file))
    with open_context(load_settings()) as context:
        line = find_job(context, job)
        name, ids = line.recording.name, {"job": line.job.id, "recording": line.recording.id}
        if given is None:
            number = context.corrections.undo_last(line.recording.id, _who())
            if not number:
                raise SettingsError(f"{name} has no correction that could be undone")
        else:
            number = _correct(context, line, *given, yes=yes)
        if number:
            publish_recording(context, line.recording.id)
    if json:
        json_line(ids | {"undone" if undo else "corrections": number})
    else:
        say(f"{name}: {count(number, 'correction')}{' undone' if undo else ''}")


def _correct(context: AppContext, line: JobLine, file: Path, text: str, *, yes: bool) -> int:
    """Store what a file corrects; return how many corrections that are."""
    if not is_whole(context, line.job):
        raise SettingsError(f"job {line.job.id} has no transcript that could be corrected")
    seen = context.corrections.last(line.recording.id)
    document = document_of(context, line.job, context.catalog.segments(line.job.id))
    if file.suffix.lower() == ".json":
        made = list(_of_json(text, document.transcript))
    else:
        plain = _spoken(text, file, document.speakers)
        made = list(_of_text(plain, document.transcript))
    _check_text(file, (said for each in made for said in (each.text, each.speaker) if said))
    if not yes:
        _check_loss(file, made, document.transcript, line)
    context.corrections.add(line.recording.id, made, _who(), seen)
    return len(made)


def _read(file: Path) -> str:
    """Read a file that may be a transcript. Raises SettingsError where it can be none."""
    if file.suffix.lower() not in _READ:
        raise SettingsError(
            f"{file} is neither a transcript nor a list of corrections",
            f"these are read: {', '.join(_READ)}; {_UNCHANGED}",
        )
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"{file} is too large for a transcript")
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = plain_reason(error)
        raise SettingsError(f"cannot read {file}: {reason}") from error
    if not text.strip():
        raise SettingsError(f"{file} is empty", _UNCHANGED)
    _check_text(file, [text])
    return text


def _check_text(file: Path, texts: Iterable[str]) -> None:
    """Raise SettingsError for control signs, which no text has."""
    if any(map(_CONTROL.search, texts)):
        raise SettingsError(f"{file} is no text: there are control characters in it", _UNCHANGED)


def _check_loss(file: Path, made: Sequence[NewCorrection], transcript: Transcript, line: JobLine) -> None:
    """Raise SettingsError where most of a transcript would go: the file may be of another recording."""
    said = (word.text for utterance in transcript.utterances for word in utterance.words)
    words = sum(len(split_words(text)) for text in said)
    lost = sum(lost_words(each.before, each.text) for each in made if each.text is not None)
    if lost * 2 > words:
        raise SettingsError(
            f"{file} has few of the words of {line.recording.name}: {lost} of {words} would be lost",
            f"{_UNCHANGED}; if it is the right file, add --yes:"
            f" stenoflow correct {line.job.id[:SHORT_ID]} --undo takes it back",
        )


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


def _spoken(text: str, file: Path, speakers: list[str]) -> str:
    """Return what is said in an edited file: without times, speakers and notes of what is missing.

    Raises:
        SettingsError: it is called like subtitles, and has none.
    """
    kind = file.suffix.lower()
    lines = _subtitles(text, kind.removeprefix(".")) if kind in _SUBTITLES else text.splitlines()
    if not lines:
        raise SettingsError(f"there are no subtitles in {file}", _UNCHANGED)
    said = []
    for line in "\n".join(lines).splitlines():
        name, colon, rest = line.strip().removeprefix("- ").partition(": ")
        shown = rest if colon and name in speakers else line
        if not shown.strip().startswith("[missing "):
            said.append(shown)
    return "\n".join(said)


def _subtitles(text: str, kind: str) -> list[str]:
    """Return what the subtitles in a text say; none, where it cannot be read as such."""
    import pysubs2  # noqa: PLC0415 - only for subtitles

    try:
        with warnings.catch_warnings(action="ignore"):
            return [each.plaintext for each in pysubs2.SSAFile.from_string(text, format_=kind)]
    except (pysubs2.exceptions.Pysubs2Error, ArithmeticError, LookupError, ValueError):
        return []
