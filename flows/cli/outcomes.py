"""Run jobs of any kind from the command line, print each outcome as it comes, and copy the artifacts."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from stenoflow.flows.cli.app import INTERRUPTED
from stenoflow.flows.cli.console import complain, count, json_line, result, say, warn
from stenoflow.flows.cli.copies import Copies
from stenoflow.flows.cli.progress import ProgressDisplay
from stenoflow.flows.orchestration import Orchestration
from stenoflow.flows.outcome import (
    MinutesDetails,
    Outcome,
    ReplyDetails,
    SpeechDetails,
    TranscriptDetails,
)
from stenoflow.flows.runner import Runner, Work, run_until_signal
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.timecode import clock


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
    # A recording that is transcribed already needs no ffmpeg, and for all others `prepare` tries it out.
    context.check(ffmpeg=any(not isinstance(work, TranscribeWork) or work.request.digest for work in works))
    copies = copies or Copies(None)
    copies.name([work.source.uri for work in works if isinstance(work, TranscribeWork)])

    def end(outcome: Outcome) -> None:
        finish(context, outcome, copies, json=json, quiet=quiet)

    with ProgressDisplay(context, end) as display:
        orchestration = Orchestration(context.settings.home, say)
        runner = Runner(context, concurrency, display, orchestration, say=warn)
        display.explain_waits_by(runner.waits_for)
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
        say(note, job=outcome.job, run=context.run_id, warning=True)
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
        json_line(outcome.to_json())
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
        why = (outcome.error or {}).get("message", "")
        # It was never found, so its message names it as it was given.
        of = "" if outcome.source in why else f"{outcome.source}: "
        result(f"{of}{outcome.status}: {why}")
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
