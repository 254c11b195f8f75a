"""Conversations that `reply` keeps: who said what, in order."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, insert_missing, storable, utc_now
from stenoflow.storage.database.tables import ConversationTurn


class Turns:
    """The turns of all conversations, in a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def of(self, session_name: str, *, upto: int | None = None) -> Sequence[ConversationTurn]:
        """Return what was said in a conversation, in order; ``upto``: no turn of a higher number."""
        query = (
            select(ConversationTurn)
            .where(ConversationTurn.session == session_name)
            .order_by(ConversationTurn.number)
        )
        if upto is not None:
            query = query.where(ConversationTurn.number <= upto)
        with self._database.read() as session:
            return session.scalars(query).all()

    def add(self, session_name: str, job_id: str, said: str, answered: str) -> None:
        """Add what was said and what was answered; saying it again for the same job changes nothing."""
        with self._database.write() as session:
            mine = select(func.count()).where(
                ConversationTurn.session == session_name, ConversationTurn.job_id == job_id
            )
            if session.scalar(mine):
                return
            last = (
                session.scalar(
                    select(func.max(ConversationTurn.number)).where(ConversationTurn.session == session_name)
                )
                or 0
            )
            for number, (role, text) in enumerate((("user", said), ("assistant", answered)), last + 1):
                turn = ConversationTurn(
                    session=session_name,
                    number=number,
                    job_id=job_id,
                    role=role,
                    text=storable(text),
                    created_at=self._clock(),
                )
                insert_missing(session, turn)
