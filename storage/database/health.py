"""Health: what waits, who is at work, and which requests failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.costs import uncertain
from stenoflow.storage.database.rows import Clock, utc_now
from stenoflow.storage.database.states import AttemptState, JobState
from stenoflow.storage.database.tables import Arrival, Attempt, Job, ProgramRun

_REFUSED = (JobState.REFUSED, JobState.FAILED)
_MOST = 50


@dataclass(frozen=True, slots=True)
class ProviderErrors:
    """Requests of a provider that failed alike.

    Attributes:
        message: of the last one.
    """

    provider: str
    model: str
    kind: str
    count: int
    message: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """What is yet to end.

    Attributes:
        oldest: when the oldest was opened; None: nothing waits.
    """

    waiting: int
    running: int
    oldest: datetime | None


class Health:
    """Questions about how a database's work goes."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def runs(self) -> Sequence[ProgramRun]:
        """Return the runs of the program that are alive, the oldest first."""
        query = (
            select(ProgramRun)
            .where(ProgramRun.alive_until > self._clock())
            .order_by(ProgramRun.started_at)
            .limit(_MOST)
        )
        with self._database.read() as session:
            return session.scalars(query).all()

    def queue(self) -> Queue:
        """Tell what is yet to end."""
        open_ = (JobState.NEW, JobState.RUNNING)
        counted = select(Job.state, func.count(), func.min(Job.created_at)).where(Job.state.in_(open_))
        with self._database.read() as session:
            rows = session.execute(counted.group_by(Job.state)).all()
        numbers = {state: number for state, number, _ in rows}
        oldest = min((at for _, _, at in rows), default=None)
        return Queue(numbers.get(JobState.NEW, 0), numbers.get(JobState.RUNNING, 0), oldest)

    def errors(self, within: timedelta = timedelta(days=1)) -> list[ProviderErrors]:
        """Return which requests failed of late, the most frequent first."""
        by = (Attempt.provider, Attempt.model, Attempt.error_kind)
        query = (
            select(*by, func.count(), func.max(Attempt.error_message), func.max(Attempt.started_at))
            .where(
                Attempt.started_at >= self._clock() - within,
                Attempt.error_kind.is_not(None),
                Attempt.state.in_([AttemptState.REFUSED, AttemptState.UNKNOWN]),
            )
            .group_by(*by)
            .order_by(func.count().desc())
            .limit(_MOST)
        )
        with self._database.read() as session:
            return [
                ProviderErrors(provider, model, kind or "", count, message or "", last)
                for provider, model, kind, count, message, last in session.execute(query)
            ]

    def inbox(self, prefix: str) -> tuple[datetime | None, list[Arrival], list[Arrival]]:
        """Return when the last recording came into an inbox, what waits there, and what was refused.

        Args:
            prefix: how the addresses of what is in it begin.
        """
        within = Arrival.source.startswith(prefix, autoescape=True)
        newest = Arrival.arrived_at.desc()
        waiting = select(Arrival).where(within, Arrival.status.is_(None)).order_by(newest).limit(_MOST)
        refused = select(Arrival).where(within, Arrival.status.in_(_REFUSED)).order_by(newest).limit(_MOST)
        with self._database.read() as session:
            last = session.scalar(select(func.max(Arrival.arrived_at)).where(within))
            return last, list(session.scalars(waiting)), list(session.scalars(refused))

    def uncertain(self, since: datetime) -> int:
        """Count the requests since a day that may have been charged, and nobody knows."""
        with self._database.read() as session:
            return uncertain(session, since)
