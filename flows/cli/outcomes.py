"""Run jobs of any kind from the command line, print each outcome as it comes, and copy the artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import typer

from stenoflow.flows.cli.console import complain, count, result, say
from stenoflow.flows.cli.progress import ProgressDisplay
from stenoflow.flows.outcome import (
    MinutesDetails,
    Outcome,
    ReplyDetails,
    SpeechDetails,
    TranscriptDetails,
)
from stenoflow.flows.prefect_server import Orchestration
from stenoflow.flows.runner import Runner, Work, run_until_signal
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.artifacts.formats import artifact_name
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.transcript.timecode import clock

INTERRUPTED = 130
"""The exit code after a signal."""


def run_works(
    context: AppContext,
    works: Sequence[Work],
    concurrency: int,
    *,
    json: bool,
    copies: Copies | None = None,
    quiet: bool = False,
) -> list[Outcome]:
    """Run jobs with their display, and print each outcome as it comes.

    Args:
        context: of the process.
        works: the jobs.
        concurrency: calls in flight at most.
        json: print JSON lines.
        copies: of the artifacts; None: none are made.
        quiet: stdout is for sound, so people are told on stderr.

    Raises:
        typer.Exit: with 130, if the user stopped it.
        BrokenPipeError: who read stdout is gone.
    """
    if not works:
        return []
    context.check()
    copies = copies or Copies(None)
    copies.name([work.source.uri for work in works if isinstance(work, TranscribeWork)])

    def end(outcome: Outcome) -> None:
        finish(context, outcome, copies, json=json, quiet=quiet)

    with ProgressDisplay(context, end) as display:
        orchestration = Orchestration(context.settings.home, say)
        runner = Runner(context, concurrency, display, orchestration)
        outcomes = run_until_signal(runner, orchestration.run_all(runner, works))
    if runner.interrupted:
        raise typer.Exit(INTERRUPTED)
    if copies.failed:
        raise typer.Exit(StorageError.exit_code)
    return outcomes


def finish(context: AppContext, outcome: Outcome, copies: Copies, *, json: bool, quiet: bool = False) -> None:
    """Print an outcome, and make the copies that were asked for."""
    print_outcome(context, outcome, json=json, quiet=quiet)
    for note in outcome.notes:
        say(note)
    try:
        copied = copies.make(context, outcome)
    except StenoflowError as error:
        complain(error)
        return
    if not json:
        for path in copied:
            result(f"  copy  {path}")


def print_outcome(context: AppContext, outcome: Outcome, *, json: bool, quiet: bool = False) -> None:
    """Print one outcome: a JSON line, or a few lines for people."""
    if json:
        result(outcome.to_json())
        return
    match outcome.details:
        case TranscriptDetails() as details:
            _print_transcript(outcome, details)
        case MinutesDetails():
            _print_minutes(context, outcome)
        case SpeechDetails() as details:
            _print_speech(outcome, details, quiet=quiet)
        case ReplyDetails() as details:
            _print_reply(outcome, details, quiet=quiet)


def _print_transcript(outcome: Outcome, details: TranscriptDetails) -> None:
    if outcome.job is None or outcome.status == "refused":
        result(f"{outcome.source}: {outcome.status}: {(outcome.error or {}).get('message', '')}")
        return
    result(
        f"{outcome.source}: {outcome.status}, {clock(round(details.duration * 1000))}, "
        f"{count(outcome.segments, 'segment')}, {count(outcome.calls, 'call')}, {outcome.reused} reused, "
        f"{outcome.cost_text}, job {outcome.job}"
    )
    width = max(map(len, outcome.artifacts), default=0)
    for name, uri in outcome.artifacts.items():
        result(f"  {name:{max(5, width)}} {uri}")
    if details.minutes is not None:
        minutes = details.minutes
        why = f": {minutes.error['message']}" if minutes.error else ""
        result(
            f"  minutes {minutes.status}, {count(minutes.calls, 'call')}, {minutes.cost_text}, "
            f"job {minutes.job}{why}"
        )
        for name, uri in minutes.artifacts.items():
            if name != "html":
                result(f"  {name:5} {uri}")


def _print_minutes(context: AppContext, outcome: Outcome) -> None:
    """Print minutes; on stderr what they cost and where they are."""
    if "md" in outcome.artifacts and outcome.job is not None:
        keys = {artifact.name: artifact.key for artifact in context.catalog.artifacts(outcome.job)}
        result(context.store.get_bytes(keys["digest.md"]).decode())
    say(
        f"{outcome.status}, {count(outcome.segments, 'question')}, {count(outcome.calls, 'call')}, "
        f"{outcome.reused} reused, {outcome.cost_text}, job {outcome.job}"
    )
    for name, uri in outcome.artifacts.items():
        say(f"  {name:5} {uri}")


def _print_speech(outcome: Outcome, details: SpeechDetails, *, quiet: bool) -> None:
    if outcome.job is None:
        return
    (say if quiet else result)(
        f"{details.file or 'not written'}: {outcome.status}, {clock(details.duration_ms)}, {details.voice}, "
        f"{details.characters:,} characters in {count(outcome.segments, 'piece')}, "
        f"{count(outcome.calls, 'call')}, {outcome.reused} reused, {outcome.cost_text}, job {outcome.job}"
    )


def _print_reply(outcome: Outcome, details: ReplyDetails, *, quiet: bool) -> None:
    if details.heard:
        say(f"heard: {details.heard}")
    if details.text:
        (say if quiet else result)(details.text.strip())
    say(f"{outcome.status}, {outcome.cost_text} in all, job {outcome.job}")


class Copies:
    """Copies artifacts as ``NAME.txt`` and so on, a translation as ``NAME.en.txt``.

    Recordings of the same name get a number behind it.

    Attributes:
        failed: a copy could not be written; the artifacts in the store are whole all the same.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the folder, before anything is spent.

        Raises:
            SettingsError: it cannot be made.
        """
        self._folder = folder
        self._names: dict[str, str] = {}
        self.failed = False
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder {folder}: {error.strerror}") from error

    def name(self, sources: Sequence[str]) -> None:
        """Give each source its name, by the order in which they were given and not by who ends first."""
        for source in sources:
            stem = Path(unquote(urlsplit(source).path)).stem or "recording"
            name, number = stem, 2
            # A translation is called ``NAME.en``, as a recording may be.
            while {name, f"{name}.en", name.removesuffix(".en")} & set(self._names.values()):
                name, number = f"{stem}-{number}", number + 1
            self._names[source] = name

    def make(self, context: AppContext, outcome: Outcome) -> list[Path]:
        """Copy what an outcome published; returns where to. Raises StorageError if one cannot be written."""
        if self._folder is None or not outcome.artifacts or outcome.job is None:
            return []
        copied = []
        for key, ending in [*_transcript(context, outcome), *_minutes(context, outcome)]:
            path = self._folder / f"{self._names[outcome.source]}.{ending}"
            try:
                context.store.fetch(key, path)
            except StenoflowError:
                self.failed = True
                raise
            except OSError as error:
                self.failed = True
                raise StorageError(f"cannot write {path}: {error.strerror}") from error
            copied.append(path)
        return copied


def _transcript(context: AppContext, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the keys of what is copied, and the endings of the copies."""
    keys = _keys(context, outcome.job)
    for format_ in outcome.artifacts:
        ending = format_.replace("translation.", "en.")
        yield keys[format_ if ending != format_ else artifact_name(format_)], ending


def _minutes(context: AppContext, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the same of minutes that followed; the page has them in it."""
    minutes = outcome.details.minutes if isinstance(outcome.details, TranscriptDetails) else None
    keys = {} if minutes is None else _keys(context, minutes.job)
    for ending in () if minutes is None else minutes.artifacts:
        if (name := f"digest.{ending}") in keys:
            yield keys[name], name


def _keys(context: AppContext, job_id: str | None) -> dict[str, str]:
    return {} if job_id is None else {each.name: each.key for each in context.catalog.artifacts(job_id)}
