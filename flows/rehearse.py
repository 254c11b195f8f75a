"""A rehearsal: past recordings transcribed by another model, one after another, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stenoflow.flows.runner import Runner
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.states import PUBLISHED
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.jobs.transcribe.prepare import content_of, resolve_again
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest
from stenoflow.tasks.operations.rehearsal import (
    REHEARSAL_TAG,
    PastJob,
    Rehearsal,
    RehearsedJob,
    compare_jobs,
    find_rehearsal,
    settings_on,
)


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
    there = find_rehearsal(context, past, wanted)
    if there is not None and there.state in PUBLISHED:
        return compare_jobs(context, past, wanted, Rehearsal(there.id, there.state))
    try:
        (source,) = resolve_again(context, past.recording)
    except StenoflowError as error:
        return compare_jobs(context, past, wanted, Rehearsal(None, "refused", str(error)))
    # One that the user began himself keeps its tag and its budget.
    tag, budget = (REHEARSAL_TAG, None) if there is None else (there.tag, there.budget_micro)
    request = TranscribeRequest(wanted, tag, budget, sha256=content_of(past.recording))
    outcome = await runner.run_quietly(TranscribeWork(source, request, (), again=True))
    why = None if outcome.error is None else outcome.error["message"]
    ended = Rehearsal(outcome.job, outcome.status, why, outcome.cost_micro)
    return compare_jobs(context, past, wanted, ended)
