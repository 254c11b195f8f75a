"""A rehearsal: past recordings transcribed by another model, one after another, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.runner import Runner
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest
from stenoflow.tasks.operations.rehearsal import (
    REHEARSAL_TAG,
    PastJob,
    RehearsedJob,
    compare_jobs,
    settings_on,
)
from stenoflow.tasks.sources import resolve


async def rehearse(
    runner: Runner, jobs: Sequence[PastJob], successor: str, say: Callable[[str], None]
) -> list[RehearsedJob]:
    """Transcribe the recordings of past jobs by another model, and hold each against what was.

    The past jobs stay as they are; what is made is a job of its own, of which nobody is sent word.

    Args:
        runner: whose settings say who is asked, and within which budget.
        jobs: of before.
        successor: the model.
        say: told before each.

    Returns:
        What came of each that was begun; fewer than there are where the user interrupts.
    """
    found: list[RehearsedJob] = []
    async with runner.open():
        for number, past in enumerate(jobs, 1):
            if runner.interrupted:
                break
            say(f"{number} of {len(jobs)}: {past.recording.name}")
            found.append(await _rehearse_one(runner, past, successor))
    return found


async def _rehearse_one(runner: Runner, past: PastJob, successor: str) -> RehearsedJob:
    context = runner.context
    wanted = settings_on(context, past, context.settings, successor)
    try:
        (source,) = resolve(past.recording.source, context.s3)
        work = TranscribeWork(source, TranscribeRequest(wanted, tag=REHEARSAL_TAG), (), again=True)
    except StenoflowError as error:
        return compare_jobs(context, past, wanted, rehearsal=None, status="refused", error=str(error))
    outcome: Outcome = await runner.run_quietly(work)
    why = None if outcome.error is None else outcome.error["message"]
    return compare_jobs(context, past, wanted, rehearsal=outcome.job, status=outcome.status, error=why)
