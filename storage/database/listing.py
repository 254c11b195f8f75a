"""Pages of the list of jobs, by whatever people look for; quick with 100,000 of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import Spending, spending_columns
from stenoflow.storage.database.states import ChargeKind, JobKind, JobState
from stenoflow.storage.database.tables import Charge, Job, Recording, TranscriptCard, UtcDateTime

_ANY_TIME = datetime.min.replace(tzinfo=UTC)
NEEDING = (JobState.FAILED, JobState.PARTIAL, JobState.REFUSED, JobState.INTERRUPTED)
"""States that go on only when a person does something."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What a list is to show; all of it must be true of a job. None, and an empty text: whatever it is.

    Attributes:
        needs_person: it is in a state of `NEEDING`, an answer in it is suspect, or its model is in
            ``retiring``.
        source_prefix: how the recording's address begins.
        until: made before this time.
        least_ms: how long the recording is at least.
        least_micro: what it has cost at least, in micro-units.
    """

    kind: str = JobKind.TRANSCRIBE
    name: str = ""
    state: str | None = None
    tag: str | None = None
    language: str | None = None
    speaker: str = ""
    model: str | None = None
    source_prefix: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    least_ms: int | None = None
    least_micro: int | None = None
    needs_person: bool = False
    retiring: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a job in the list."""

    created_at: datetime
    job_id: str


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A line of the list.

    Attributes:
        card: what its transcript is like; None where there is none.
    """

    job: Job
    recording: Recording
    card: TranscriptCard | None
    spending: Spending

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.job.created_at, self.job.id)


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of the list, newest first.

    Attributes:
        older: where the next page begins; None: there is none.
    """

    jobs: tuple[ListedJob, ...]
    older: Place | None


class Listing:
    """The list of the jobs in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ListFilter, after: Place | None = None, size: int = 50) -> ListPage:
        """Return a page: the jobs behind a place, or the newest."""
        query = (
            select(Job, Recording, TranscriptCard)
            .join(Recording, Recording.id == Job.recording_id)
            .outerjoin(TranscriptCard, TranscriptCard.job_id == Job.id)
            .limit(size + 1)
        )
        if after is not None:
            place = tuple_(literal(after.created_at, UtcDateTime()), literal(after.job_id))
            query = query.where(tuple_(Job.created_at, Job.id) < place)
        with self._database.read() as session:
            # What is rare is found first; the whole list would be gone through for it.
            is_narrow = False
            for column, candidates in _candidates(wanted):
                ids = session.scalars(candidates.limit(_FEW + 1)).all()
                if len(ids) <= _FEW:
                    query, is_narrow = query.where(column.in_(ids)), True
            column_of = _without_index if is_narrow and self._database.is_embedded else _as_it_is
            newest_first = column_of(Job.created_at).desc(), Job.id.desc()
            query = query.where(*_conditions(wanted, column_of)).order_by(*newest_first)
            rows = session.execute(query).all()
            ids = [job.id for job, _, _ in rows[:size]]
            spent = {
                job_id: Spending(*money)
                for job_id, *money in session.execute(
                    select(Charge.job_id, *spending_columns())
                    .where(Charge.job_id.in_(ids))
                    .group_by(Charge.job_id)
                )
            }
        jobs = tuple(
            ListedJob(job, recording, card, spent.get(job.id, Spending(0, 0, 0)))
            for job, recording, card in rows[:size]
        )
        return ListPage(jobs, jobs[-1].place if len(rows) > size else None)

    def tags(self) -> Sequence[str]:
        """Return the tags that there are."""
        with self._database.read() as session:
            return _distinct(session, Job.tag, Job.kind == JobKind.TRANSCRIBE)

    def languages(self) -> Sequence[str]:
        """Return the languages that there are transcripts in."""
        with self._database.read() as session:
            return _distinct(session, TranscriptCard.language)

    def counts(self, since: datetime) -> dict[str, int]:
        """Count the transcriptions since a time, by state."""
        query = (
            select(Job.state, func.count())
            .where(Job.kind == JobKind.TRANSCRIBE, Job.created_at >= since)
            .group_by(Job.state)
        )
        with self._database.read() as session:
            return {state: number for state, number in session.execute(query)}  # noqa: C416 - for mypy


# Candidates that are looked up by their ids; where there are more, the newest are soon found in the list.
_FEW = 500
# More than any list of choices has.
_MOST_DISTINCT = 1_000


def _distinct(
    session: Session, column: InstrumentedAttribute[str | None], *conditions: ColumnElement[bool]
) -> list[str]:
    """Return the values of an indexed column, sorted: each is looked up behind the one before."""
    found: list[str] = []
    while len(found) < _MOST_DISTINCT:
        query = select(func.min(column)).where(*conditions, column > (found[-1] if found else ""))
        value = session.scalar(query)
        if value is None:
            break
        found.append(value)
    return found


def _candidates(wanted: ListFilter) -> Iterator[tuple[InstrumentedAttribute[str], Select[str]]]:
    """Yield what narrows the list down, each with a query for the ids that it leaves."""
    if wanted.name:
        yield Job.recording_id, select(Recording.id).where(_is_named(wanted.name))
    if wanted.source_prefix:
        yield Job.recording_id, select(Recording.id).where(_lies_in(wanted.source_prefix))
    if wanted.least_ms:
        yield Job.recording_id, select(Recording.id).where(Recording.duration_ms >= wanted.least_ms)
    if wanted.least_micro:
        spent = select(Charge.job_id).where(Charge.kind == ChargeKind.ACTUAL).group_by(Charge.job_id)
        yield Job.id, spent.having(func.sum(Charge.amount_micro) >= wanted.least_micro)
    if wanted.speaker:
        yield Job.id, select(TranscriptCard.job_id).where(_has_speaker(wanted.speaker))
    if wanted.language:
        yield Job.id, select(TranscriptCard.job_id).where(TranscriptCard.language == wanted.language)


def _is_named(name: str) -> ColumnElement[bool]:
    return Recording.name.icontains(name, autoescape=True)


def _lies_in(prefix: str) -> ColumnElement[bool]:
    return Recording.source.startswith(prefix, autoescape=True)


def _has_speaker(name: str) -> ColumnElement[bool]:
    # As it stands in JSON: a name that is not ASCII is escaped there.
    escaped = json.dumps(name)[1:-1]
    return cast(TranscriptCard.speakers, String).icontains(escaped, autoescape=True)


def _spent() -> ColumnElement[int]:
    """Return what a job has cost."""
    of_job = (Charge.job_id == Job.id) & (Charge.kind == ChargeKind.ACTUAL)
    return select(func.sum(Charge.amount_micro)).where(of_job).scalar_subquery()


def _as_it_is(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    return column.expression


def _without_index(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Return a column that SQLite uses no index of: it would rather go through one than look up a few ids."""
    return literal_column(f"+jobs.{column.key}", column.type)


def _conditions(
    wanted: ListFilter, column_of: Callable[[InstrumentedAttribute[Any]], ColumnElement[Any]]
) -> list[ColumnElement[bool]]:
    kind, state, tag, made_at = map(column_of, (Job.kind, Job.state, Job.tag, Job.created_at))
    asked = {
        state == wanted.state: wanted.state,
        tag == wanted.tag: wanted.tag,
        _is_named(wanted.name): wanted.name,
        TranscriptCard.language == wanted.language: wanted.language,
        _MODEL_NAME.in_([wanted.model]): wanted.model,
        _has_speaker(wanted.speaker): wanted.speaker,
        _lies_in(wanted.source_prefix or ""): wanted.source_prefix,
        Recording.duration_ms >= (wanted.least_ms or 0): wanted.least_ms,
        _spent() >= (wanted.least_micro or 0): wanted.least_micro,
        made_at >= (wanted.since or _ANY_TIME): wanted.since,
        made_at < (wanted.until or _ANY_TIME): wanted.until,
    }
    found = [kind == wanted.kind, *(condition for condition, value in asked.items() if value)]
    if wanted.needs_person:
        ends = _MODEL_NAME.in_(wanted.retiring) & (state == JobState.COMPLETE)
        needs = [state.in_(NEEDING), TranscriptCard.suspects > 0]
        found.append(or_(*needs, *([ends] if wanted.retiring else [])))
    return found


_MODEL_NAME: ColumnElement[str] = Job.settings["model"].as_string()
