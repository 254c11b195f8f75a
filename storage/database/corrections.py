"""Corrections by people: an overlay on recordings, with who and when; undone, never deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, storable, utc_now
from stenoflow.storage.database.tables import Correction, Recording
from stenoflow.storage.errors import StenoflowError


class ConflictError(StenoflowError):
    """Somebody else has corrected the same stretch meanwhile."""

    kind = "conflict"
    exit_code = 3


@dataclass(frozen=True, slots=True)
class NewCorrection:
    """A correction to be stored; see `Correction`."""

    start_ms: int
    end_ms: int
    before: str
    text: str | None = None
    speaker: str | None = None


class Corrections:
    """The corrections in a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def last(self, recording_id: str) -> int:
        """Return the id of a recording's last correction, undone or not; 0 where there is none."""
        query = select(func.max(Correction.id)).where(Correction.recording_id == recording_id)
        with self._database.read() as session:
            return session.scalar(query) or 0

    def of(self, recording_id: str, *, undone: bool = False) -> Sequence[Correction]:
        """Return the corrections of a recording in the order in which they were made.

        Args:
            recording_id: the recording.
            undone: those that were undone, too.
        """
        query = select(Correction).where(Correction.recording_id == recording_id).order_by(Correction.id)
        if not undone:
            query = query.where(Correction.undone_at.is_(None))
        with self._database.read() as session:
            return session.scalars(query).all()

    def add(
        self, recording_id: str, corrections: Sequence[NewCorrection], who: str, seen: int | None = None
    ) -> None:
        """Store corrections, all or none.

        Args:
            recording_id: the recording.
            corrections: in the order in which they are made.
            who: who made them.
            seen: the id of the last correction that is known to who made them; None: whatever there is.

        Raises:
            ConflictError: somebody has corrected one of the stretches since; nothing is stored.
        """
        with self._database.write() as session:
            # Two at once take turns.
            session.get_one(Recording, recording_id, with_for_update=True)
            if seen is not None:
                _check_unchanged(session, recording_id, corrections, seen)
            made_at = self._clock()
            for each in corrections:
                row = Correction(
                    recording_id=recording_id,
                    start_ms=each.start_ms,
                    end_ms=each.end_ms,
                    before=storable(each.before),
                    text=None if each.text is None else storable(each.text),
                    speaker=None if each.speaker is None else storable(each.speaker),
                    who=storable(who),
                )
                row.made_at = made_at
                session.add(row)
                session.flush()

    def undo(self, recording_id: str, correction_id: int, who: str) -> bool:
        """Undo a correction; False where there is none that stands."""
        with self._database.write() as session:
            row = session.get(Correction, correction_id, with_for_update=True)
            if row is None or row.recording_id != recording_id or row.undone_at is not None:
                return False
            row.undone_by, row.undone_at = storable(who), self._clock()
            return True

    def undo_last(self, recording_id: str, who: str) -> int:
        """Undo the newest corrections that stand, all that were made with them; return how many that were."""
        standing = (Correction.recording_id == recording_id, Correction.undone_at.is_(None))
        with self._database.write() as session:
            session.get_one(Recording, recording_id, with_for_update=True)
            last = select(func.max(Correction.made_at)).where(*standing).scalar_subquery()
            rows = session.scalars(select(Correction).where(*standing, Correction.made_at == last)).all()
            for row in rows:
                row.undone_by, row.undone_at = storable(who), self._clock()
            return len(rows)


def _check_unchanged(
    session: Session, recording_id: str, corrections: Sequence[NewCorrection], seen: int
) -> None:
    newer = select(Correction).where(Correction.recording_id == recording_id, Correction.id > seen)
    for row in session.scalars(newer.order_by(Correction.id)):
        if any(row.start_ms < each.end_ms and each.start_ms < row.end_ms for each in corrections):
            raise ConflictError(f"{row.who} has changed this passage meanwhile", "look at it as it is now")
