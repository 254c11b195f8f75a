"""Running jobs of kind ``speak`` from the command line: to files, or to whoever reads stdout."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from stenoflow.flows.cli.console import complain, result, say
from stenoflow.flows.cli.speech_progress import watching
from stenoflow.flows.cli.transcribe import INTERRUPTED
from stenoflow.flows.speak import Speaking
from stenoflow.flows.speech_outcome import SpeechOutcome, outcome_of
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.output_file import write

STREAM = Path("-")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpeechOrder:
    """A job to be spoken.

    Attributes:
        file: where the sound goes; `STREAM`: to stdout, as it comes; None: it stays in the store.
    """

    job: Job
    file: Path | None = None


def speak_jobs(
    context: AppContext, orders: Sequence[SpeechOrder], concurrency: int, *, json: bool
) -> list[SpeechOutcome]:
    """Speak jobs side by side, and tell what became of each as it comes.

    Raises:
        typer.Exit: with 130, if the user stopped it.
        BrokenPipeError: whoever read stdout is gone.
    """
    context.check()
    speaking = Speaking(context, concurrency, say)

    async def one(order: SpeechOrder) -> SpeechOutcome:
        outcome = await _speak(context, speaking, order)
        tell(outcome, json=json, quiet=order.file == STREAM)
        return outcome

    async def all_of_them() -> list[SpeechOutcome]:
        async with speaking.open(), watching(context, [order.job.id for order in orders]):
            return await asyncio.gather(*map(one, orders))

    outcomes = asyncio.run(all_of_them())
    if speaking.interrupted:
        raise typer.Exit(INTERRUPTED)
    return outcomes


async def _speak(context: AppContext, speaking: Speaking, order: SpeechOrder) -> SpeechOutcome:
    try:
        if order.file == STREAM:
            await speaking.speak(order.job, sys.stdout.fileno())
        else:
            spoken = await speaking.speak(order.job)
            if order.file is not None:
                await run_blocking(write, context, spoken.audio.key, order.file)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - one text's fault must not end the others
        if not isinstance(error, StenoflowError):
            _log.exception("job %s", order.job.id)
        return await run_blocking(outcome_of, context, order.job.id, None, error)
    return await run_blocking(outcome_of, context, order.job.id, order.file)


def tell(outcome: SpeechOutcome, *, json: bool, quiet: bool = False) -> None:
    """Print an outcome: a JSON line or a line for people, to stderr if stdout is for the sound."""
    if json:
        result(outcome.to_json())
        return
    if outcome.error is not None:
        complain(StenoflowError(outcome.error["message"]))
    if outcome.job is not None:
        (say if quiet else result)(outcome.told())
