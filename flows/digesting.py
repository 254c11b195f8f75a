"""Making minutes: one digest from its claim to its end, and the outcome that is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flows.running import Run, open_run
from storage.database.states import JobState, SegmentState
from storage.database.tables import Artifact, Job
from storage.errors import StenoflowError, TakenError
from tasks.chatting import Chatter
from tasks.cutting import StoppedError
from tasks.digest.asking import answer_all, begin
from tasks.digest.opening import work_of
from tasks.digest.publishing import publish_digest
from tasks.digest.voice import speak_minutes
from tasks.digest.work import Work
from tasks.errors import RefusedError
from tasks.money.amounts import show
from tasks.settling import settle
from tasks.speaking.speaker import Speaker
from tasks.workshop import Workshop

_LOOK_AGAIN_S = 1.0
# Without calls in flight, what is under way gets this long to end by itself.
_SETTLING_S = 2.0
_ENDED = {JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.REFUSED}


@dataclass(frozen=True, slots=True)
class DigestOutcome:
    """What became of one digest.

    Attributes:
        of: the transcription's job.
        calls: requests made in this run.
        reused: questions answered from stored results in this run.
        cost_micro: spent in this run; None where a price is unknown.
        artifacts: URIs by ending.
        error: kind and message, of a failure or a refusal.
    """

    of: str
    status: str
    job: str | None = None
    recording: str | None = None
    source: str | None = None
    segments: int = 0
    calls: int = 0
    reused: int = 0
    cost_micro: int | None = 0
    currency: str = "USD"
    artifacts: dict[str, str] = field(default_factory=dict)
    error: dict[str, str] | None = None
    exit_code: int = 0

    def naming(self, endings: Sequence[str] | None) -> DigestOutcome:
        """Return it with these of the artifacts only; None: all."""
        if endings is None:
            return self
        return replace(
            self, artifacts={name: self.artifacts[name] for name in endings if name in self.artifacts}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "job": self.job,
            "of": self.of,
            "recording": self.recording,
            "source": self.source,
            "status": self.status,
            "segments": self.segments,
            "calls": self.calls,
            "reused": self.reused,
            "cost": None if self.cost_micro is None else show(self.cost_micro),
            "currency": self.currency,
            "artifacts": self.artifacts,
            "error": self.error,
        }

    def to_json(self) -> str:
        """Write the line."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


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


def of_digest(workshop: Workshop, job_id: str, run_id: str) -> DigestOutcome:
    """Tell of a digest as it stands now."""
    job = workshop.catalog.job(job_id)
    recording = workshop.catalog.recording(job.recording_id)
    segments = workshop.catalog.segments(job_id)
    totals = workshop.reports.run_totals(job_id, run_id)
    answered = sum(segment.state == SegmentState.DONE for segment in segments)
    artifacts = _artifacts(workshop, job) if job.state in {JobState.COMPLETE, JobState.PARTIAL} else {}
    return DigestOutcome(
        of=job.settings["of"],
        status=job.state if job.state in _ENDED else JobState.PARTIAL.value,
        job=job_id,
        recording=recording.id,
        source=recording.source,
        segments=len(segments),
        calls=totals.calls,
        reused=max(0, answered - totals.answered),
        cost_micro=None if totals.spending.unpriced else totals.spending.actual_micro,
        artifacts=artifacts,
        error=_error(job),
        exit_code=_exit_code(job),
    )


def _artifacts(workshop: Workshop, job: Job) -> dict[str, str]:
    """Return the addresses of the minutes by ending, with that of the page that shows them."""
    ours = {each.name: each.uri for each in workshop.catalog.artifacts(job.id)}
    theirs = {each.name: each.uri for each in workshop.catalog.artifacts(job.settings["of"])}
    page = theirs.get("transcript.html")
    found = {name.removeprefix("digest."): uri for name, uri in ours.items() if name.startswith("digest.")}
    return found | ({"html": page} if page else {})


def refused(of: str, error: StenoflowError) -> DigestOutcome:
    """Tell of a digest that was not even opened."""
    is_refused = error.exit_code == RefusedError.exit_code
    return DigestOutcome(
        of,
        (JobState.REFUSED if is_refused else JobState.FAILED).value,
        error.job_id,
        error={"kind": error.kind, "message": str(error)},
        exit_code=error.exit_code,
    )


def _of_error(workshop: Workshop, job: Job, error: StenoflowError) -> DigestOutcome:
    error.job_id = job.id
    if workshop.catalog.job(job.id).state not in _ENDED:
        workshop.catalog.set_state(job.id, JobState.FAILED, error)
    return refused(job.settings["of"], error)


def _error(job: Job) -> dict[str, str] | None:
    if job.state == JobState.INTERRUPTED:
        return {"kind": "interrupted", "message": f"interrupted; stenoflow resume {job.id} goes on"}
    if job.error_kind is None:
        return None
    return {"kind": job.error_kind, "message": job.error_message or ""}


def _exit_code(job: Job) -> int:
    if job.state == JobState.COMPLETE:
        return 0
    return 1 if job.error_kind == StenoflowError.kind else 3


@dataclass(slots=True)
class Digesting:
    """Digests that a command makes, side by side under one limit of calls.

    Attributes:
        told: given each outcome as it comes.
        stopping: told how many calls are waited for, and for how long, when the user asks to stop.
        interrupted: somebody called `stop`.
    """

    workshop: Workshop
    concurrency: int
    told: Callable[[DigestOutcome], object]
    stopping: Callable[[int, float], object]
    interrupted: bool = False
    _run: Run | None = None
    _digests: list[asyncio.Task[DigestOutcome]] = field(default_factory=list)

    async def run(self, jobs: list[Job], *, again: bool = False) -> list[DigestOutcome]:
        """See opened digests through; returns their outcomes in order."""
        outcomes = []
        async with open_run(self.workshop, self.concurrency) as run:
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
