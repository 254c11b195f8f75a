"""Making minutes: one digest from its claim to its end, and the outcome that is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from stenoflow.flows.minutes_outcome import ENDED, MinutesOutcome, outcome_of_minutes, refused
from stenoflow.flows.run import Run, open_run
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.storage.errors import StenoflowError, TakenError
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.plan import MinutesRequest, open_minutes, plan_of_minutes
from stenoflow.tasks.jobs.minutes.publish import publish_minutes
from stenoflow.tasks.jobs.minutes.questions import MinutesPlan
from stenoflow.tasks.jobs.minutes.run import answer_all, begin, speak_minutes
from stenoflow.tasks.jobs.transcribe.publish import republish_page
from stenoflow.tasks.jobs.transcribe.segment import StoppedError

_LOOK_AGAIN_S = 1.0
# Without calls in flight, what is under way gets this long to end by itself.
_SETTLING_S = 2.0


async def digest_of(run: Run, of: str, wish: MinutesRequest) -> MinutesOutcome:
    """Make minutes of a transcription, from the opening of their job on; whatever happens is an outcome."""
    try:
        transcription = await run_blocking(run.context.catalog.job, of)
        job = await run_blocking(open_minutes, run.context, transcription, wish)
    except StenoflowError as error:
        return refused(of, error)
    return await digest(run, job)


async def digest(run: Run, job: Job, *, again: bool = False) -> MinutesOutcome:
    """See an opened digest through to its end, which stands in its job; whatever happens is an outcome.

    Args:
        run: the process's.
        job: the digest.
        again: even if it was set aside.
    """
    context = run.context
    try:
        if not await run_blocking(_is_done, context, job):
            await _work(run, job, again=again)
    except StenoflowError as error:
        return await run_blocking(_of_error, context, job, error)
    return await run_blocking(outcome_of_minutes, context, job.id, run.run_id)


async def _work(run: Run, job: Job, *, again: bool) -> None:
    context = run.context
    work = await run_blocking(plan_of_minutes, context, job)
    while True:
        try:
            await begin(context, job, work, again=again)
            break
        except TakenError:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if run.interrupted:
                raise StoppedError("interrupted before it was begun") from None
    try:
        await answer_all(run.caller, job, work)
        spoken = await _spoken(run.caller, job, work)
        if run.interrupted:
            await run_blocking(context.catalog.set_state, job.id, JobState.INTERRUPTED)
        else:
            state = await run_blocking(publish_minutes, context, job.id, spoken)
            if state is not JobState.FAILED:
                await run_blocking(republish_page, context, work.settings.of)
    except asyncio.CancelledError:
        await run_blocking(context.catalog.set_state, job.id, JobState.INTERRUPTED)
    except StenoflowError as error:
        await run_blocking(context.catalog.set_state, job.id, JobState.FAILED, error)


async def _spoken(caller: Caller, job: Job, work: MinutesPlan) -> Artifact | None:
    """Have the minutes spoken, if that is wanted; None where that failed, which stands in its segment."""
    try:
        spoken = await speak_minutes(caller, job, work)
    except StenoflowError:
        return None
    return None if spoken is None else await run_blocking(spoken.artifact, caller.context)


def _is_done(context: AppContext, job: Job) -> bool:
    """Tell whether a digest is complete and its artifacts are in place."""
    if context.catalog.job(job.id).state != JobState.COMPLETE:
        return False
    artifacts = context.catalog.artifacts(job.id)
    return bool(artifacts) and all(context.store.exists(artifact.key) for artifact in artifacts)


def _of_error(context: AppContext, job: Job, error: StenoflowError) -> MinutesOutcome:
    error.job_id = job.id
    if context.catalog.job(job.id).state not in ENDED:
        context.catalog.set_state(job.id, JobState.FAILED, error)
    return refused(job.settings["of"], error)


@dataclass(slots=True)
class Digesting:
    """Digests that a command makes, side by side under one limit of calls.

    Attributes:
        told: given each outcome as it comes.
        outer: what each call passes through beside this process's own limit.
        stopping: told how many calls are waited for, and for how long, when the user asks to stop.
        interrupted: somebody called `stop`.
    """

    context: AppContext
    concurrency: int
    told: Callable[[MinutesOutcome], object]
    stopping: Callable[[int, float], object]
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None
    interrupted: bool = False
    _run: Run | None = None
    _digests: list[asyncio.Task[MinutesOutcome]] = field(default_factory=list)

    async def run(self, jobs: list[Job], *, again: bool = False) -> list[MinutesOutcome]:
        """See opened digests through; returns their outcomes in order."""
        outcomes = []
        async with open_run(self.context, self.concurrency, self.outer) as run:
            self._run = run
            if self.interrupted:
                run.interrupt()
            self._digests = [asyncio.create_task(digest(run, job, again=again)) for job in jobs]
            for each in self._digests:
                outcomes.append(await each)
                self.told(outcomes[-1])
        return outcomes

    def stop(self) -> None:
        """Ask nothing more and keep the answers of calls in flight; a second time: drop those too."""
        if self.interrupted or self._run is None:
            self.interrupted = True
            self._cancel()
            return
        self.interrupted = True
        self._run.interrupt()
        calls = self._run.caller.limiter.busy
        grace_s = self.context.settings.grace_s if calls else _SETTLING_S
        self.stopping(calls, grace_s)
        asyncio.get_running_loop().call_later(grace_s, self._cancel)

    def _cancel(self) -> None:
        for each in self._digests:
            each.cancel()
