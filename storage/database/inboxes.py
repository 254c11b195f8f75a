"""Inboxes beside what came into them: words for their glossaries, and the last look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, storable, utc_now
from stenoflow.storage.database.tables import InboxLook, InboxTerm


class Inboxes:
    """The inboxes in a database, each by its address."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def terms(self, inbox: str) -> tuple[str, ...]:
        """Return the names and words that were put into an inbox's glossary, in their order."""
        query = select(InboxTerm.term).where(InboxTerm.inbox == inbox).order_by(InboxTerm.id)
        with self._database.read() as session:
            return tuple(dict.fromkeys(session.scalars(query)))

    def add_terms(self, inbox: str, terms: Iterable[str], who: str, recording_id: str) -> list[str]:
        """Put names and words of a recording into an inbox's glossary; return those that it had not yet."""
        with self._database.write() as session:
            found = session.scalars(select(InboxTerm).where(InboxTerm.inbox == inbox)).all()
            here = {each.term for each in found if each.recording_id == recording_id}
            new = [term for term in dict.fromkeys(map(storable, terms)) if term not in here]
            now = self._clock()
            session.add_all(
                InboxTerm(inbox=inbox, term=term, recording_id=recording_id, who=storable(who), made_at=now)
                for term in new
            )
            there = {each.term for each in found}
        return [term for term in new if term not in there]

    def remove_term(self, inbox: str, term: str) -> bool:
        """Take a word out of an inbox's glossary; False where it is not in it."""
        with self._database.write() as session:
            gone = session.execute(delete(InboxTerm).where(InboxTerm.inbox == inbox, InboxTerm.term == term))
            return bool(gone.rowcount)  # type: ignore[attr-defined]

    def around(self, source: str) -> tuple[str, ...]:
        """Return the inboxes that were looked into and in which an address lies."""
        with self._database.read() as session:
            return tuple(each for each in session.scalars(select(InboxLook.inbox)) if source.startswith(each))

    def looked(self, inbox: str) -> None:
        """Note that an inbox was looked into."""
        with self._database.write() as session:
            look = session.get(InboxLook, inbox, with_for_update=True)
            if look is None:
                session.add(InboxLook(inbox=inbox, looked_at=self._clock()))
            else:
                look.looked_at = self._clock()

    def last_look(self, inbox: str) -> datetime | None:
        """Return when an inbox was looked into last; None: never."""
        with self._database.read() as session:
            look = session.get(InboxLook, inbox)
            return None if look is None else look.looked_at
