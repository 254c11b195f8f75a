"""Holding what was published against what is recorded of it, and building it anew from stored answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from stenoflow.storage.database.states import PUBLISHED, JobKind, JobState, SegmentState
from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.storage.errors import ObjectStoreError, StenoflowError
from stenoflow.storage.objects import ObjectNotFoundError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.minutes.publish import publish_minutes
from stenoflow.tasks.jobs.transcribe.publish import lacks_formats, publish, republish_page


class Condition(StrEnum):
    """What became of an artifact."""

    OK = "ok"
    MISSING = "missing"
    CHANGED = "changed"


class UnrepairableError(FailedError):
    """A job's artifacts cannot be built anew."""

    kind = "unrepairable"


@dataclass(frozen=True, slots=True)
class Verified:
    """A job whose artifacts were looked at.

    Attributes:
        artifacts: the condition of each, by name; after the repair, if there was one.
        repaired: which of them were built anew.
        error: why that could not be done, or why they could not be looked at.
    """

    job_id: str
    artifacts: dict[str, Condition]
    repaired: tuple[str, ...] = ()
    error: StenoflowError | None = None

    @property
    def is_sound(self) -> bool:
        """Whether all is there as it is recorded."""
        return self.error is None and all(each is Condition.OK for each in self.artifacts.values())


def verify(context: AppContext, job: Job, *, repair: bool = False) -> Verified:
    """Hold a job's artifacts against their recorded sha256.

    Args:
        context: the tools.
        job: a job that was published.
        repair: build them anew from stored answers where they are not as recorded; calls nobody.
    """
    found: dict[str, Condition] = {}
    try:
        found = _conditions(context, context.catalog.artifacts(job.id))
        spoilt = tuple(name for name, condition in found.items() if condition is not Condition.OK)
        if not spoilt or not repair:
            return Verified(job.id, found)
        rebuild(context, job)
        return Verified(job.id, _conditions(context, context.catalog.artifacts(job.id)), spoilt)
    except StenoflowError as error:
        return Verified(job.id, found, error=error)


def published(context: AppContext) -> list[Job]:
    """Return the jobs that have artifacts to look at, newest first."""
    jobs = [line.job for line in context.reports.jobs()]
    return [job for job in jobs if job.state in PUBLISHED]


def rebuild(context: AppContext, job: Job) -> None:
    """Publish a job again from stored answers; calls nobody.

    Raises:
        UnrepairableError: answers that it had are gone, so less would come of it than there was; or its
            artifacts cannot be stored.
    """
    from stenoflow.tasks.jobs.reply.publish import publish_reply  # noqa: PLC0415 - with speech comes numpy
    from stenoflow.tasks.jobs.speak import publish as speech  # noqa: PLC0415 - the same

    segments = context.catalog.segments(job.id)
    done = {each.cache_key for each in segments if each.state == SegmentState.DONE}
    gone = done - context.ledger.answered(done)
    if gone:
        raise UnrepairableError(
            f"{len(gone)} of the answers that job {job.id} was made of are not stored",
            f"stenoflow resume {job.id} buys them again",
        )
    try:
        if job.kind == JobKind.SPEAK:
            speech.rebuild(context, job)
        elif job.kind == JobKind.MINUTES:
            if publish_minutes(context, job.id) is not JobState.FAILED:
                republish_page(context, job.settings["of"])
        elif job.kind == JobKind.REPLY:
            publish_reply(context, job.id)
        else:
            publish(context, job.id)
    except ObjectStoreError as error:
        raise UnrepairableError(f"job {job.id} could not be published again: {error.message}") from error


def make_up(context: AppContext, job: Job) -> None:
    """Publish a job again if it lacks a format that it was asked for after it was published.

    Raises UnrepairableError, as `rebuild` does.
    """
    if lacks_formats(context, job):
        rebuild(context, job)


def _conditions(context: AppContext, artifacts: Sequence[Artifact]) -> dict[str, Condition]:
    return {artifact.name: _condition(context, artifact) for artifact in artifacts}


def _condition(context: AppContext, artifact: Artifact) -> Condition:
    try:
        content = context.store.get_bytes(artifact.key)
    except ObjectNotFoundError:
        return Condition.MISSING
    same = hashlib.sha256(content).hexdigest() == artifact.sha256
    return Condition.OK if same else Condition.CHANGED
