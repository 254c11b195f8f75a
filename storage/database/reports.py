"""Reading the ledger: progress of jobs, what a run cost, and costs by any heading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, func, or_, select

from stenoflow.storage.database.charges import CURRENCY
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import MS, CostLine, CostsBy, Spending, costs, spending_columns
from stenoflow.storage.database.rows import integer_sum
from stenoflow.storage.database.states import (
    Activity,
    AttemptState,
    ChargeKind,
    JobKind,
    JobState,
    SegmentState,
)
from stenoflow.storage.database.tables import Attempt, Charge, Job, Recording, Segment

# The kind of stenoflow.tasks.api.errors.UnreachableError: the request never left.
_NEVER_SENT = "api-unreachable"
# So many calls tell how fast models are, and so many recordings how long others of their kind are.
_NEWEST = 200


def _progress() -> Select[*tuple[Any, ...]]:
    ended = Segment.state.in_([SegmentState.DONE, SegmentState.SILENT])
    samples = Segment.end_sample - Segment.start_sample
    return (
        select(
            Job.id,
            func.count(Segment.index),
            func.count(case((ended, 1))),
            func.count(case((Segment.state == SegmentState.FAILED, 1))),
            integer_sum(case((ended, samples))),
            Job.planned,
        )
        .outerjoin(Segment, Segment.job_id == Job.id)
        .where(Job.id.in_(bindparam("jobs", expanding=True)))
        .group_by(Job.id, Job.planned)
    )


def _of_run() -> tuple[Select[*tuple[Any, ...]], Select[*tuple[Any, ...]]]:
    mine = select(Attempt.id).where(Attempt.job_id == bindparam("job"), Attempt.run_id == bindparam("run"))
    sent = Attempt.error_kind.is_distinct_from(_NEVER_SENT)
    is_answer = (Attempt.state == AttemptState.OK) & (Attempt.activity != Activity.TRANSLATION)
    counts = select(func.count(case((sent, 1))), func.count(case((is_answer, 1))))
    spent = select(*spending_columns()).where(Charge.attempt_id.in_(mine))
    return counts.where(Attempt.id.in_(mine)), spent


def _samples_of_run() -> Select[*tuple[Any, ...]]:
    answered = select(Attempt.segment_index).where(
        Attempt.job_id == bindparam("job"),
        Attempt.run_id == bindparam("run"),
        Attempt.state == AttemptState.OK,
        Attempt.activity != Activity.TRANSLATION,
    )
    samples = integer_sum(Segment.end_sample - Segment.start_sample)
    return select(samples).where(Segment.job_id == bindparam("job"), Segment.index.in_(answered))


# What every recording asks: made once, for to write such a statement down takes longer than to run it.
_PROGRESS = _progress()
_CALLS_OF_RUN, _SPENT_OF_RUN = _of_run()
_SAMPLES_OF_RUN = _samples_of_run()
_SPENDING = select(*spending_columns())
_SPENDING_OF = _SPENDING.where(Charge.job_id.in_(bindparam("jobs", expanding=True)))
_CHARGES = select(Charge).where(Charge.job_id == bindparam("job")).order_by(Charge.id)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is; samples at 16 kHz."""

    job_id: str
    segments: int
    done: int
    failed: int
    done_samples: int
    planned: bool


@dataclass(frozen=True, slots=True)
class RunTotals:
    """What one run of the program did for a job: requests made, and segments that were answered."""

    calls: int
    answered: int
    spending: Spending


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job with its recording and what it cost, for lists; ``currency`` may be several: ``EUR+USD``."""

    job: Job
    recording: Recording
    spending: Spending
    currency: str = CURRENCY


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; what is None leaves none out.

    Attributes:
        prefix: what the id begins with.
        search: what the recording's name or address has in it, in letters of any case.
    """

    prefix: str = ""
    state: str | None = None
    tag: str | None = None
    since: datetime | None = None
    search: str | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what holds for these jobs."""
        if self.prefix:
            # For the primary key's index, which a LIKE cannot use in most locales; ids are hexadecimal.
            yield Job.id.between(self.prefix, f"{self.prefix}g")
            yield Job.id.startswith(self.prefix, autoescape=True)
        if self.state is not None:
            yield Job.state == self.state
        if self.tag is not None:
            yield Job.tag == self.tag
        if self.since is not None:
            yield Job.created_at >= self.since
        if self.search:
            columns = (Recording.name, Recording.source)
            yield or_(*(column.icontains(self.search, autoescape=True) for column in columns))


class Reports:
    """Questions to the database that change nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def progress(self, job_ids: Sequence[str]) -> list[JobProgress]:
        """Tell how far jobs are."""
        with self._database.read() as session:
            return [JobProgress(*row) for row in session.execute(_PROGRESS, {"jobs": list(job_ids)})]

    def run_totals(self, job_id: str, run_id: str) -> RunTotals:
        """Tell what one run did for a job: requests made and money spent."""
        mine = {"job": job_id, "run": run_id}
        with self._database.read() as session:
            calls, answered = session.execute(_CALLS_OF_RUN, mine).one()
            row = session.execute(_SPENT_OF_RUN, mine).one()
        return RunTotals(calls, answered, Spending(*row))

    def samples_of_run(self, job_id: str, run_id: str) -> int:
        """Tell how much sound one run has had transcribed for a job, in samples."""
        with self._database.read() as session:
            return session.execute(_SAMPLES_OF_RUN, {"job": job_id, "run": run_id}).scalar_one() or 0

    def speeds(self) -> dict[tuple[str, str], float]:
        """Tell how fast models transcribe: sound by time of one call, of the newest calls of all.

        Returns:
            By (provider, model), for those that were asked.
        """
        query = (
            select(Attempt, Charge.quantity)
            .join(Charge, (Charge.attempt_id == Attempt.id) & (Charge.kind == ChargeKind.ACTUAL))
            .where(
                Attempt.activity == Activity.TRANSCRIPTION, Charge.unit == MS, Attempt.ended_at.is_not(None)
            )
            .order_by(Charge.id.desc())
            .limit(_NEWEST)
        )
        sums: dict[tuple[str, str], list[float]] = {}
        with self._database.read() as session:
            for attempt, ms in session.execute(query):
                took = (attempt.ended_at or attempt.started_at) - attempt.started_at
                both = sums.setdefault((attempt.provider, attempt.model), [0.0, 0.0])
                both[0] += ms
                both[1] += max(1.0, took.total_seconds() * 1_000)
        return {which: sound_ms / took_ms for which, (sound_ms, took_ms) in sums.items()}

    def unfinished(self, source_prefix: str) -> dict[str, int]:
        """Tell how many ms of sound have no answer yet, by source, of unfinished transcriptions.

        Args:
            source_prefix: how the sources begin.
        """
        unfinished = (
            select(Job.id, Recording.source, Recording.duration_ms)
            .join(Recording, Recording.id == Job.recording_id)
            .where(
                Job.kind == JobKind.TRANSCRIBE,
                Job.state.in_([JobState.NEW, JobState.RUNNING, JobState.INTERRUPTED]),
                Recording.source.startswith(source_prefix, autoescape=True),
            )
        )
        with self._database.read() as session:
            jobs = {job_id: (source, ms or 0) for job_id, source, ms in session.execute(unfinished)}
        done = {each.job_id: each.done_samples for each in self.progress(list(jobs))}
        left: Counter[str] = Counter()
        for job_id, (source, ms) in jobs.items():
            # Sound has 16 samples a millisecond.
            left[source] += max(0, ms - (done.get(job_id) or 0) // 16)
        return dict(left)

    def newest_sizes(self) -> Sequence[tuple[str, int, int]]:
        """Return the source, the bytes and the ms of the newest recordings that were transcribed."""
        query = (
            select(Recording.source, Recording.bytes, Recording.duration_ms)
            .join(Job, Job.recording_id == Recording.id)
            .where(Job.kind == JobKind.TRANSCRIBE)
            .order_by(Job.created_at.desc())
            .limit(_NEWEST)
        )
        with self._database.read() as session:
            return [(source, size, ms) for source, size, ms in session.execute(query) if size and ms]

    def spending(self, job_ids: Sequence[str] | None = None) -> Spending:
        """Tell what jobs have cost in all their runs; all jobs if none are named."""
        with self._database.read() as session:
            if job_ids is None:
                return Spending(*session.execute(_SPENDING).one())
            return Spending(*session.execute(_SPENDING_OF, {"jobs": list(job_ids)}).one())

    def jobs(self, only: JobFilter | None = None, *, limit: int | None = None) -> list[JobLine]:
        """List jobs, newest first."""
        query = (
            select(Job, Recording)
            .join(Recording, Recording.id == Job.recording_id)
            .where(*(only or JobFilter()).conditions())
            .order_by(Job.created_at.desc(), Job.id)
            .limit(limit)
        )
        currencies = func.min(Charge.currency), func.max(Charge.currency)
        by_job = select(Charge.job_id, *currencies, *spending_columns()).group_by(Charge.job_id)
        with self._database.read() as session:
            rows = session.execute(query).all()
            if limit is not None:
                # Of all jobs, the charges are as good as the whole table; of a few, the index finds them.
                by_job = by_job.where(Charge.job_id.in_([job.id for job, _ in rows]))
            spent = {row[0]: ("+".join(sorted({*row[1:3]})), row[3:]) for row in session.execute(by_job)}
        free = (CURRENCY, (0, 0, 0))
        return [
            JobLine(job, recording, Spending(*money), currency)
            for job, recording in rows
            for currency, money in [spent.get(job.id, free)]
        ]

    def tags(self) -> list[str]:
        """List the tags that jobs have."""
        with self._database.read() as session:
            query = select(Job.tag).where(Job.tag.is_not(None), Job.tag != "").distinct()
            return sorted(tag for tag in session.scalars(query) if tag)

    def attempts(self, job_id: str) -> Sequence[Attempt]:
        """List a job's requests in the order they were sent."""
        with self._database.read() as session:
            query = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.started_at)
            return session.scalars(query).all()

    def charges(self, job_id: str) -> Sequence[Charge]:
        """List a job's entries in the ledger in the order they were made."""
        with self._database.read() as session:
            return session.scalars(_CHARGES, {"job": job_id}).all()

    def costs(self, by: CostsBy, since: datetime | None = None, most: int | None = None) -> list[CostLine]:
        """Sum the charges under headings, in the headings' order.

        Args:
            by: the heading; days and months are those of UTC.
            since: leaves out what was charged before this time.
            most: of recordings, only so many, which cost most; None: all.
        """
        with self._database.read() as session:
            return costs(session, by, since, most)
