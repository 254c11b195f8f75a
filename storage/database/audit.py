"""The audit: who changed what, and when; rows are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, storable, utc_now
from stenoflow.storage.database.tables import AuditEntry


class Audit:
    """The audit of a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, who: str, action: str, job_id: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        """Record that somebody did something; ``details`` hold no name and no text of a recording."""
        entry = AuditEntry(who=storable(who), action=action, job_id=job_id, details=details or {})
        entry.at = self._clock()
        with self._database.write() as session:
            session.add(entry)

    def of(self, job_id: str) -> Sequence[AuditEntry]:
        """Return what was done to a job, the last first."""
        with self._database.read() as session:
            query = select(AuditEntry).where(AuditEntry.job_id == job_id).order_by(AuditEntry.id.desc())
            return session.scalars(query).all()
