"""Making minutes: one digest from its claim to its end, and the outcome that is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from flows.digest_outcome import ENDED, DigestOutcome, of_digest, refused
from flows.running import Run, open_run
from storage.database.states import JobState
from storage.database.tables import Artifact, Job
from storage.errors import StenoflowError, TakenError
from tasks.chat.asking import Chatter
from tasks.cutting import StoppedError
from tasks.digest.asking import answer_all, begin
from tasks.digest.opening import DigestWish, open_digest, work_of
from tasks.digest.publishing import publish_digest
from tasks.digest.voice import speak_minutes
from tasks.digest.work import Work
from tasks.settling import settle
from tasks.speaking.speaker import Speaker
from tasks.workshop import Workshop

_LOOK_AGAIN_S = 1.0
# Without calls in flight, what is under way gets this long to end by itself.
_SETTLING_S = 2.0


async def digest_of(run: Run, of: str, wish: DigestWish) -> DigestOutcome:
    """Make minutes of a transcription, from the opening of their job on; whatever happens is an outcome."""
    try:
        transcription = await settle(run.workshop.catalog.job, of)
        job = await settle(open_digest, run.workshop, transcription, wish)
    except StenoflowError as error:
        return refused(of, error)
    return await digest(run, job)


async def digest(run: Run, job: Job, *, again: bool = False) -> DigestOutcome:
    """See an opened digest through to its end, which stands in its job; whatever happens is an outcome.

    Args:
        run: the process's.
        job: the digest.
        again: even if it was set aside.
    """
    workshop = run.workshop
    try:
        if not await settle(_is_done, workshop, job):
            await _work(run, job, again=again)
    except StenoflowError as error:
        return await settle(_of_error, workshop, job, error)
    return await settle(of_digest, workshop, job.id, run.run_id)


async def _work(run: Run, job: Job, *, again: bool) -> None:
    workshop = run.workshop
    work = await settle(work_of, workshop, job)
    while True:
        try:
            await begin(workshop, job, work, again=again)
            break
        except TakenError:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if run.interrupted:
                raise StoppedError("interrupted before it was begun") from None
    try:
        api, gate = run.transcriber.api, run.transcriber.gate
        await answer_all(Chatter(workshop, api, gate), job, work)
        spoken = await _spoken(Speaker(workshop, api, gate), job, work)
        if run.interrupted:
            await settle(workshop.catalog.set_state, job.id, JobState.INTERRUPTED)
        else:
            await settle(publish_digest, workshop, job.id, spoken)
    except asyncio.CancelledError:
        await settle(workshop.catalog.set_state, job.id, JobState.INTERRUPTED)
    except StenoflowError as error:
        await settle(workshop.catalog.set_state, job.id, JobState.FAILED, error)


async def _spoken(speaker: Speaker, job: Job, work: Work) -> Artifact | None:
    """Have the minutes spoken, if that is wanted; None where that failed, which stands in its segment."""
    try:
        spoken = await speak_minutes(speaker, job, work)
    except StenoflowError:
        return None
    return None if spoken is None else await settle(spoken.artifact, speaker.workshop)


def _is_done(workshop: Workshop, job: Job) -> bool:
    """Tell whether a digest is complete and its artifacts are in place."""
    if workshop.catalog.job(job.id).state != JobState.COMPLETE:
        return False
    artifacts = workshop.catalog.artifacts(job.id)
    return bool(artifacts) and all(workshop.store.exists(artifact.key) for artifact in artifacts)


def _of_error(workshop: Workshop, job: Job, error: StenoflowError) -> DigestOutcome:
    error.job_id = job.id
    if workshop.catalog.job(job.id).state not in ENDED:
        workshop.catalog.set_state(job.id, JobState.FAILED, error)
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

    workshop: Workshop
    concurrency: int
    told: Callable[[DigestOutcome], object]
    stopping: Callable[[int, float], object]
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None
    interrupted: bool = False
    _run: Run | None = None
    _digests: list[asyncio.Task[DigestOutcome]] = field(default_factory=list)

    async def run(self, jobs: list[Job], *, again: bool = False) -> list[DigestOutcome]:
        """See opened digests through; returns their outcomes in order."""
        outcomes = []
        async with open_run(self.workshop, self.concurrency, self.outer) as run:
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
        calls = self._run.transcriber.gate.busy
        grace_s = self.workshop.settings.grace_s if calls else _SETTLING_S
        self.stopping(calls, grace_s)
        asyncio.get_running_loop().call_later(grace_s, self._cancel)

    def _cancel(self) -> None:
        for each in self._digests:
            each.cancel()
