"""What came into drop folders: each content of each address is taken once, by one run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import select, update

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.rows import Clock, insert_missing, storable, utc_now
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Arrival

# SQLite takes a limited number of parameters.
_AT_ONCE = 500


def arrival_id(source: str, mark: str) -> str:
    """Return the id of a content at an address."""
    return hashlib.sha256(f"{source}\0{mark}".encode(errors="surrogatepass")).hexdigest()


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

    def refused_by_others(self, ids: Sequence[str]) -> dict[str, str]:
        """Return, by id, why other runs have refused those of the ids that they have."""
        found: dict[str, str] = {}
        with self._database.read() as session:
            for first in range(0, len(ids), _AT_ONCE):
                asked = select(Arrival.id, Arrival.reason).where(
                    Arrival.id.in_(ids[first : first + _AT_ONCE]),
                    Arrival.status == JobState.REFUSED,
                    Arrival.run_id != self._run_id,
                )
                found |= {id_: reason or "" for id_, reason in session.execute(asked)}
        return found

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
            if stored.run_id != self._run_id and self._leases.is_alive(session, stored.run_id):
                return False
            stored.run_id = self._run_id
            return True

    def is_in_hand(self, id_: str) -> tuple[bool, str | None]:
        """Tell whether a run, which is alive, has an arrival; and which run had it last."""
        with self._database.read() as session:
            stored = session.get(Arrival, id_)
            run_id = None if stored is None else stored.run_id
            return self._leases.is_alive(session, run_id), run_id

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

    def let_go(self, ids: Iterable[str]) -> None:
        """Give back what this run has taken and not ended, for the next look to take."""
        with self._database.write() as session:
            session.execute(
                update(Arrival)
                .where(Arrival.id.in_(list(ids)), Arrival.status.is_(None), Arrival.run_id == self._run_id)
                .values(run_id=None)
            )
