"""Links by which readers see one transcript: until a time, or until they are revoked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, storable, utc_now
from stenoflow.storage.database.tables import Link


class Links:
    """The links in a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def make(self, job_id: str, who: str, lasts: timedelta) -> Link:
        """Make a link to a job's transcript, which ends by itself after a time."""
        now = self._clock()
        link = Link(
            id=secrets.token_hex(16),
            job_id=job_id,
            who=storable(who),
            made_at=now,
            expires_at=now + lasts,
            opened=0,
        )
        with self._database.write() as session:
            session.add(link)
        return link

    def of(self, job_id: str) -> Sequence[Link]:
        """Return the links to a job's transcript, the last first; those that hold no more, too."""
        query = select(Link).where(Link.job_id == job_id).order_by(Link.made_at.desc(), Link.id)
        with self._database.read() as session:
            return session.scalars(query).all()

    def holds(self, link: Link) -> bool:
        """Tell whether a link has neither ended nor been revoked."""
        return link.revoked_at is None and self._clock() < link.expires_at

    def find(self, id_: str) -> Link | None:
        """Return a link that holds; None where there is none of that id, or none any more."""
        with self._database.read() as session:
            link = session.get(Link, id_)
        return link if link is not None and self.holds(link) else None

    def count_opening(self, id_: str) -> None:
        """Note that somebody has opened a link."""
        with self._database.write() as session:
            link = session.get(Link, id_, with_for_update=True)
            if link is not None:
                link.opened, link.opened_at = link.opened + 1, self._clock()

    def revoke(self, job_id: str, id_: str, who: str) -> bool:
        """Revoke a link to a job's transcript; False where there is none that was not revoked."""
        with self._database.write() as session:
            link = session.get(Link, id_, with_for_update=True)
            if link is None or link.job_id != job_id or link.revoked_at is not None:
                return False
            link.revoked_at, link.revoked_by = self._clock(), storable(who)
            return True
