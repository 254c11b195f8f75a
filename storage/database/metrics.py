"""Figures for metrics, counted in one look at the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from stenoflow.storage.database.charges import Budgets, Scope, used
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, integer_sum, utc_now
from stenoflow.storage.database.states import Activity, JobState, SegmentState
from stenoflow.storage.database.tables import (
    Arrival,
    Attempt,
    Charge,
    Exposure,
    Job,
    ProgramRun,
    Recording,
    Segment,
)

_OPEN = (JobState.NEW, JobState.RUNNING, JobState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Calls:
    """How many requests had one outcome; those of recordings that were forgotten are not counted."""

    provider: str
    model: str
    state: str
    error_kind: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Entries:
    """The ledger's entries of one kind.

    Attributes:
        unit: of ``quantity`` (audio: ms).
        unpriced: how many of them have no known price.
        amount_micro: micro-units of ``currency``.
    """

    provider: str
    model: str
    currency: str
    kind: str
    unit: str
    count: int
    unpriced: int
    amount_micro: int
    quantity: int
    activity: str = Activity.TRANSCRIPTION


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """How things stood at one moment.

    Attributes:
        jobs: how many, by state; all states are there.
        segments: the same.
        exposure_micro: this month's (UTC), by currency.
        budgets: (of what, exposure, cap) of each cap on this month, in micro-units of USD.
        oldest_job_s: seconds since the oldest job that is yet to end was opened; 0: there is none.
        oldest_arrival_s: the same of what came into drop folders.
        runs: of the program that are alive.
    """

    recordings: int
    jobs: Mapping[str, int]
    segments: Mapping[str, int]
    calls: tuple[Calls, ...]
    entries: tuple[Entries, ...]
    exposure_micro: Mapping[str, int]
    budgets: tuple[tuple[Scope, int, int], ...]
    oldest_job_s: float
    oldest_arrival_s: float
    runs: int


class Metrics:
    """Takes snapshots of a database.

    Three of the questions read whole tables (2.3 s with a million charges in SQLite), so they are not to be
    asked all the time.

    Args:
        database: where to look.
        budgets: the caps to hold totals against.
        clock: the time of day; PostgreSQL's own where it is the default one, since machines' clocks differ.
    """

    def __init__(self, database: Database, budgets: Budgets, clock: Clock = utc_now) -> None:
        self._database = database
        self._budgets = budgets
        self._clock = clock

    def snapshot(self) -> MetricsSnapshot:
        """Look. Raises DatabaseError."""
        with self._database.read() as session:
            now = self._now(session)
            month = f"{now:%Y-%m}"
            opened = select(func.min(Job.created_at)).where(Job.state.in_(_OPEN))
            # What failed for a reason outside it waits for that, not for a run.
            arrived = select(func.min(Arrival.arrived_at)).where(
                Arrival.status.is_(None), Arrival.ended_at.is_(None)
            )
            alive = select(func.count()).select_from(ProgramRun).where(ProgramRun.alive_until > now)
            return MetricsSnapshot(
                recordings=session.scalar(select(func.count()).select_from(Recording)) or 0,
                jobs=_by_state(session, Job.state, JobState),
                segments=_by_state(session, Segment.state, SegmentState),
                calls=_calls(session),
                entries=_entries(session),
                exposure_micro=_exposures(session, month),
                budgets=tuple(used(session, self._budgets, month)),
                oldest_job_s=_age_s(session.scalar(opened), now),
                oldest_arrival_s=_age_s(session.scalar(arrived), now),
                runs=session.scalar(alive) or 0,
            )

    def _now(self, session: Session) -> datetime:
        if self._clock is utc_now and not self._database.is_embedded:
            now: datetime = session.scalars(select(func.clock_timestamp())).one()
            return now.astimezone(UTC)
        return self._clock()


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _by_state(
    session: Session, column: InstrumentedAttribute[str], states: type[StrEnum]
) -> Mapping[str, int]:
    rows = session.execute(select(column, func.count()).group_by(column))
    return {state.value: 0 for state in states} | {state: count for state, count in rows}  # noqa: C416


def _calls(session: Session) -> tuple[Calls, ...]:
    by = (Attempt.provider, Attempt.model, Attempt.state, Attempt.error_kind)
    rows = session.execute(select(*by, func.count()).group_by(*by))
    return tuple(Calls(*row) for row in rows)


def _entries(session: Session) -> tuple[Entries, ...]:
    by = (Charge.provider, Charge.model, Charge.currency, Charge.kind, Charge.unit)
    unpriced = case((Charge.amount_micro.is_(None), 1), else_=0)
    sums = (
        func.count(),
        integer_sum(unpriced),
        integer_sum(Charge.amount_micro),
        integer_sum(Charge.quantity),
    )
    columns: list[ColumnElement[Any] | InstrumentedAttribute[str]] = [*by, *sums, Charge.activity]
    rows = session.execute(select(*columns).group_by(*by, Charge.activity))
    return tuple(Entries(*row) for row in rows)


def _exposures(session: Session, month: str) -> Mapping[str, int]:
    query = select(Exposure.currency, Exposure.amount_micro)
    rows = session.execute(query.where(Exposure.period == month, Exposure.tag == ""))
    return {currency: amount for currency, amount in rows}  # noqa: C416 - Row is not a pair to mypy
