"""Arrivals in drop folders: each content of each address is taken once, by one run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.rows import Clock, insert_missing, storable, utc_now
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Arrival

# SQLite takes a limited number of parameters.
_AT_ONCE = 500
# Beside what runs have in hand, one of these is free.
_PAGE = 50
_LONGEST_REST = timedelta(hours=1)
# It has not come to its end, and is not put off.
_OPEN = (Arrival.status.is_(None), Arrival.ended_at.is_(None))


def arrival_id(source: str, mark: str) -> str:
    """Return the id of a content at an address."""
    return hashlib.sha256(f"{source}\0{mark}".encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class EndedArrival:
    """An arrival that another run has ended.

    Attributes:
        reason: why, where it was refused.
    """

    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """An arrival that failed for a reason outside the recording; it is to be taken again.

    Attributes:
        run_id: the run that had it last.
        due_at: when whoever looks again and again takes it: after as long as it has been here, an hour
            at most.
    """

    run_id: str | None
    due_at: datetime


class Arrivals:
    """The arrivals in a database, as one run sees them."""

    def __init__(
        self, database: Database, run_id: str, clock: Clock = utc_now, leases: Leases | None = None
    ) -> None:
        self._database = database
        self._run_id = run_id
        self._clock = clock
        self._leases = leases or Leases(database, clock=clock)

    def ended(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that have come to their end; they are not to be taken again."""
        found: set[str] = set()
        with self._database.read() as session:
            for first in range(0, len(ids), _AT_ONCE):
                some = Arrival.id.in_(ids[first : first + _AT_ONCE])
                found.update(session.scalars(select(Arrival.id).where(some, Arrival.status.is_not(None))))
        return found

    def ended_by_others(self, ids: Sequence[str]) -> dict[str, EndedArrival]:
        """Return, by id, how other runs have ended those of the ids that they have."""
        others = (Arrival.status.is_not(None), Arrival.run_id != self._run_id)
        return {
            arrival.id: EndedArrival(arrival.status or "", arrival.reason or "")
            for arrival in self._those(ids, *others)
        }

    def is_complete(self, id_: str, job_id: str) -> bool:
        """Tell whether an arrival ended complete, by a job."""
        with self._database.read() as session:
            stored = session.get(Arrival, id_)
            return stored is not None and (stored.status, stored.job_id) == (JobState.COMPLETE, job_id)

    def put_off_before(self, ids: Sequence[str]) -> dict[str, PutOff]:
        """Return, by id, those of the ids that are to be taken again."""
        found = {}
        for arrival in self._those(ids, Arrival.status.is_(None), Arrival.ended_at.is_not(None)):
            tried_at = arrival.ended_at or arrival.arrived_at
            rest = min(tried_at - arrival.arrived_at, _LONGEST_REST)
            found[arrival.id] = PutOff(arrival.run_id, tried_at + rest)
        return found

    def last_reason(self, id_: str) -> str | None:
        """Return why an arrival that is to be taken again failed the last time; None where it did not."""
        with self._database.read() as session:
            stored = session.get(Arrival, id_)
            return None if stored is None or stored.status is not None else stored.reason

    def taken_before(self, marks: Mapping[str, str]) -> set[str]:
        """Return the addresses of which another content was taken; ``marks``: of what is there now."""
        found: set[str] = set()
        sources = list(marks)
        with self._database.read() as session:
            for first in range(0, len(sources), _AT_ONCE):
                some = Arrival.source.in_(sources[first : first + _AT_ONCE])
                for source, mark in session.execute(select(Arrival.source, Arrival.mark).where(some)):
                    # What follows a blank is a fault in its options.
                    if mark.partition(" ")[0] != marks[source]:
                        found.add(source)
        return found

    def _those(self, ids: Sequence[str], *conditions: ColumnElement[bool]) -> Iterator[Arrival]:
        with self._database.read() as session:
            for first in range(0, len(ids), _AT_ONCE):
                some = Arrival.id.in_(ids[first : first + _AT_ONCE])
                yield from session.scalars(select(Arrival).where(some, *conditions)).all()

    def take(self, source: str, mark: str) -> bool:
        """Take an arrival for this run; what a dead run had taken, too.

        Returns:
            Whether it is this run's now: False if it has ended, or another run, which is alive, has it.
        """
        arrival = Arrival(id=arrival_id(source, mark), source=source, mark=mark, arrived_at=self._clock())
        with self._database.write() as session:
            insert_missing(session, arrival)
            stored = session.get_one(Arrival, arrival.id, with_for_update=True)
            if stored.status is not None:
                return False
            is_free = stored.ended_at is not None or stored.run_id == self._run_id
            if not is_free and self._leases.is_alive(session, stored.run_id):
                return False
            stored.run_id, stored.ended_at = self._run_id, None
            return True

    def expect(self, batch: str, recordings: Sequence[tuple[str, str]]) -> None:
        """Note recordings that wait until a run takes them; what was put off waits again.

        Args:
            batch: the key under which they are taken, in this order.
            recordings: their addresses and marks; what has ended, or is in hand, stays as it is.
        """
        now, alive = self._clock(), dict[str | None, bool]()
        rows = [
            Arrival(id=arrival_id(source, mark), source=source, mark=mark, arrived_at=now)
            for source, mark in recordings
        ]
        places = {row.id: place for place, row in enumerate(rows)}
        # Two that expect the same at once lock it in the same order.
        rows.sort(key=lambda row: row.id)
        with self._database.write() as session:
            for first in range(0, len(rows), _AT_ONCE):
                some = rows[first : first + _AT_ONCE]
                insert_missing(session, *some)
                those = Arrival.id.in_([row.id for row in some])
                query = select(Arrival).where(those).order_by(Arrival.id).with_for_update()
                for stored in session.scalars(query).all():
                    if stored.run_id not in alive:
                        alive[stored.run_id] = self._leases.is_alive(session, stored.run_id)
                    is_held = stored.ended_at is None and alive[stored.run_id]
                    if stored.status is None and not is_held:
                        stored.batch, stored.place = batch, places[stored.id]
                        stored.run_id = stored.ended_at = None

    def take_next(self, batch: str, but: Collection[str] = ()) -> tuple[str, str] | None:
        """Take the first that waits of a batch for this run; what a dead run had taken waits, too.

        Args:
            batch: as it was expected.
            but: ids that are passed over.

        Returns:
            Its id and address; None where none of them waits.
        """
        with self._database.write() as session:
            for id_, holder in self._waiting(session, batch, {None, self._run_id}):
                if id_ in but:
                    continue
                # Whoever takes it at the same moment has locked it.
                same = (Arrival.id == id_, Arrival.run_id.is_not_distinct_from(holder))
                free = select(Arrival).where(*same, *_OPEN).with_for_update(skip_locked=True)
                taken = session.scalar(free)
                if taken is not None:
                    taken.run_id = self._run_id
                    return id_, taken.source
        return None

    def has_waiting(self, batch: str) -> bool:
        """Tell whether one of a batch waits to be taken, beside what this run has in hand."""
        with self._database.read() as session:
            return next(self._waiting(session, batch, {None}), None) is not None

    def _waiting(
        self, session: Session, batch: str, free: Iterable[str | None]
    ) -> Iterator[tuple[str, str | None]]:
        """Yield the ids of what waits to be taken, in their order, and the dead run that has it.

        ``free``: whose those are that wait, alive or not; None: nobody's.
        """
        alive: dict[str | None, bool] = dict.fromkeys(free, False)
        columns = select(Arrival.id, Arrival.run_id, Arrival.place)
        last = -1
        while True:
            query = columns.where(Arrival.batch == batch, Arrival.place > last, *_OPEN)
            page = session.execute(query.order_by(Arrival.place).limit(_PAGE)).all()
            for id_, holder, _ in page:
                if holder not in alive:
                    alive[holder] = self._leases.is_alive(session, holder)
                if not alive[holder]:
                    yield id_, holder
            if len(page) < _PAGE:
                return
            last = page[-1].place

    def waiting_at(self, batches: Collection[str]) -> set[str]:
        """Return the addresses of what has not come to its end in some batches, and is not put off."""
        with self._database.read() as session:
            return set(session.scalars(select(Arrival.source).where(Arrival.batch.in_(batches), *_OPEN)))

    def drop(self, id_: str) -> None:
        """Remove an arrival of this run's that is there no more."""
        mine = (Arrival.id == id_, Arrival.status.is_(None), Arrival.run_id == self._run_id)
        with self._database.write() as session:
            session.execute(delete(Arrival).where(*mine))

    def is_in_hand(self, id_: str) -> tuple[bool, str]:
        """Tell whether a run, which is alive, has an arrival; and what names its last try."""
        with self._database.read() as session:
            stored = session.get(Arrival, id_)
            if stored is None:
                return False, ""
            tried_at = "" if stored.ended_at is None else f" {stored.ended_at.isoformat()}"
            is_free = stored.ended_at is not None
            in_hand = not is_free and self._leases.is_alive(session, stored.run_id)
            return in_hand, f"{stored.run_id or ''}{tried_at}"

    def end(self, id_: str, status: str, job_id: str | None, reason: str | None) -> None:
        """Record what became of an arrival; it is not taken again."""
        with self._database.write() as session:
            session.execute(
                update(Arrival)
                .where(Arrival.id == id_)
                .values(
                    status=status,
                    job_id=job_id,
                    reason=None if reason is None else storable(reason),
                    ended_at=self._clock(),
                )
            )

    def put_off(self, id_: str, reason: str | None, job_id: str | None = None) -> None:
        """Record why an arrival failed, and of which job, and give it back for a later look to take."""
        with self._database.write() as session:
            session.execute(
                update(Arrival)
                .where(Arrival.id == id_, Arrival.status.is_(None), Arrival.run_id == self._run_id)
                .values(
                    reason=None if reason is None else storable(reason),
                    job_id=job_id,
                    ended_at=self._clock(),
                )
            )

    def let_go(self, id_: str, reason: str | None = None, job_id: str | None = None) -> None:
        """Give back an arrival that this run has taken and not ended, for the next look; ``reason``: why."""
        said = {} if reason is None else {"reason": storable(reason)}
        said |= {} if job_id is None else {"job_id": job_id}
        with self._database.write() as session:
            session.execute(
                update(Arrival)
                .where(Arrival.id == id_, Arrival.status.is_(None), Arrival.run_id == self._run_id)
                .values(run_id=None, **said)
            )
