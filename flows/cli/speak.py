"""`stenoflow speak`: a text to a file, or to a player."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import complain, json_line, result, say
from stenoflow.flows.cli.outcomes import print_outcome, run_works
from stenoflow.flows.outcome import Outcome, SpeechDetails, exit_code, outcome_of_error
from stenoflow.flows.speak import SpeakWork, speech_outcome
from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import RefusedError, SettingsError
from stenoflow.tasks.jobs.speak import output_file as reading
from stenoflow.tasks.jobs.speak.output_file import check_target, format_of_name
from stenoflow.tasks.jobs.speak.plan import open_speech_job
from stenoflow.tasks.jobs.speak.publish import published
from stenoflow.tasks.jobs.speak.script import clean
from stenoflow.tasks.jobs.speak.settings import (
    FASTEST,
    SLOWEST,
    SpeechSettings,
    VoiceOptions,
    speech_settings,
)
from stenoflow.tasks.jobs.speak.voice_samples import (
    SAMPLE_LINE,
    VoiceSample,
    file_name,
    voices_to_try,
    write_page,
)
from stenoflow.tasks.settings import load_settings

STREAM = Path("-")


def speak(
    text: Annotated[
        str | None, typer.Argument(help="What to say; - reads it from stdin.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file; - streams to stdout. With --sample: a folder.", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A text file to say.", show_default=False)
    ] = None,
    voice: Annotated[
        str | None,
        typer.Option(
            help="The voice. Default: the model's. With --sample: several, a,b,c.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model. Default: as stenoflow models marks it.", show_default=False),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="mp3, opus, aac, flac, wav or pcm. Default: by the file's name.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[float, typer.Option(help="How fast.", min=SLOWEST, max=FASTEST)] = 1.0,
    instructions: Annotated[
        str | None, typer.Option(help="How to say it, where the model takes that.", show_default=False)
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Say one line in several voices, into a folder with a page.")
    ] = False,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    tag: options.Tag = None,
    json: options.Json = False,
) -> None:
    """Speak a text. A long one is spoken in pieces side by side, and joined.

    Example: [bold]stenoflow speak --file chapter.txt -o chapter.mp3 --voice nova[/]
    or: [bold]stenoflow speak "It is ready." -o - | mpv -[/]
    """
    settings = load_settings().with_budget(budget)
    target = _target(out, sample=sample, json=json)
    said = _said(text, file, SAMPLE_LINE if sample else None, json=json)
    form = format_ or (None if sample or target == STREAM else format_of_name(target))
    wanted = VoiceOptions(model, voice, form and form.lower(), speed, instructions)
    with open_context(settings) as context:
        voices = (
            voices_to_try(settings, context, wanted)
            if sample
            else [speech_settings(settings, context.speech_models, wanted)]
        )
        files = [target / file_name(each.voice, each.format) if sample else target for each in voices]
        micro = options.budget_micro(budget)
        works, outcomes = _open(
            context, said, voices, files, tag=tag, budget_micro=micro, is_sample=sample, json=json
        )
        calls = calls_at_once(settings, concurrency)
        outcomes += run_works(context, works, calls, json=json, quiet=target == STREAM)
        if sample:
            _offer(context, target, said, works, json=json)
    raise typer.Exit(exit_code(outcomes))


def _target(out: Path | None, *, sample: bool, json: bool) -> Path:
    """Return where the sound goes, once it is sure that it can go there."""
    if out is None:
        raise SettingsError("where shall the sound go?", "-o FILE, or -o - for stdout")
    if sample:
        if out == STREAM:
            raise SettingsError("several voices cannot go to stdout", "name a folder: -o voices")
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder {out}: {plain_reason(error)}") from error
        check_target(out / "index.html")
    elif out != STREAM:
        check_target(out)
    elif json:
        raise SettingsError("--json and -o - both want stdout", "write to a file with --json")
    elif sys.stdout.isatty():
        raise SettingsError("a terminal cannot play sound", "-o FILE, or: -o - | mpv -")
    return out


def _said(text: str | None, file: Path | None, default: str | None, *, json: bool) -> str:
    """Return what is to be said, cleaned; where it is refused, say so."""
    try:
        return clean(_text(text, file, default))
    except RefusedError as error:
        if not json:
            raise
        json_line(outcome_of_error(error, SpeechDetails()).to_json())
        raise typer.Exit(error.exit_code) from error


def _text(text: str | None, file: Path | None, default: str | None) -> str:
    """Return what is to be said, from wherever it is."""
    if text is not None and file is not None:
        raise SettingsError("there is a text and a file", "give one of them")
    if file is not None:
        return reading.read(sys.stdin.buffer, "stdin") if file == STREAM else reading.read_file(file)
    if text == "-":
        return reading.read(sys.stdin.buffer, "stdin")
    if text is None and default is None:
        raise SettingsError("there is no text", "give it as an argument, with --file, or - for stdin")
    return text if text is not None else default or ""


def _open(
    context: AppContext,
    said: str,
    voices: list[SpeechSettings],
    files: list[Path],
    *,
    tag: str | None,
    budget_micro: int | None,
    is_sample: bool,
    json: bool,
) -> tuple[list[SpeakWork], list[Outcome]]:
    """Open a job a voice; those that are refused are outcomes already."""
    works: list[SpeakWork] = []
    refused: list[Outcome] = []
    for each, file in zip(voices, files, strict=True):
        try:
            job = open_speech_job(context, said, each, tag=tag, budget_micro=budget_micro)
            out = sys.stdout.fileno() if file == STREAM else None
            works.append(SpeakWork(job, None if file == STREAM else file, out, is_sample=is_sample))
        except StenoflowError as error:
            refused.append(speech_outcome(context, error.job_id, None, error))
            if not json:
                complain(error)
            print_outcome(context, refused[-1], json=json, quiet=file == STREAM)
    return works, refused


def _offer(
    context: AppContext,
    folder: Path,
    said: str,
    works: list[SpeakWork],
    *,
    json: bool,
) -> None:
    """Write the page on which the voices that there are can be heard."""
    samples = []
    for work in works:
        spoken = published(context, context.catalog.job(work.job.id))
        if spoken is None or work.file is None:
            continue
        _say_where(folder / file_name(work.job.settings["voice"], work.job.settings["format"]), work.file)
        spent = context.reports.spending([work.job.id])
        samples.append(
            VoiceSample(
                work.job.settings["voice"],
                work.file.name,
                spoken.audio.content_type,
                context.store.get_bytes(spoken.audio.key),
                "price unknown" if spent.unpriced else f"{show(spent.actual_micro)} USD",
            )
        )
    if not samples:
        return
    page = write_page(context, folder, said, works[0].job, samples)
    _say_where(folder / "index.html", page)
    (say if json else result)(f"{page}: {len(samples)} voices to choose from")


def _say_where(wanted: Path, path: Path) -> None:
    if path != wanted:
        say(f"{wanted} is not of our making, or was changed: it stays, and the new one is {path.name}")
