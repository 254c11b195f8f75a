"""Voices that are kept, so that who has spoken before is known again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import CursorResult, delete, func, select, update

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, insert_missing, utc_now
from stenoflow.storage.database.tables import Voiceprint


@dataclass(frozen=True, slots=True)
class NewVoiceprint:
    """A speaker's voice as it is to be kept; ``vector`` as it is stored: in base64, or encrypted."""

    label: str
    spoken_ms: int
    vector: str


@dataclass(frozen=True, slots=True)
class NamedVoiceprint:
    """A voice that somebody gave a name."""

    name: str
    vector: str


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """Somebody whose voice is known: in how many recordings, how long, and where they came in."""

    name: str | None
    inbox: str
    recordings: int
    spoken_ms: int


class Voiceprints:
    """The voices in a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, recording_id: str, turns_key: str, model: str, inbox: str, voices: Iterable[NewVoiceprint]
    ) -> None:
        """Keep the voices of a recording; what is kept already stays, with its names."""
        with self._database.write() as session:
            for each in voices:
                insert_missing(
                    session,
                    Voiceprint(
                        recording_id=recording_id,
                        turns_key=turns_key,
                        label=each.label,
                        model=model,
                        inbox=inbox,
                        spoken_ms=each.spoken_ms,
                        vector=each.vector,
                        made_at=self._clock(),
                    ),
                )

    def name(self, recording_id: str, turns_key: str, names: Mapping[str, str]) -> list[str]:
        """Give the voices of a recording names, by our labels of the speakers; returns those of no voice."""
        unknown = []
        with self._database.write() as session:
            for label, name in names.items():
                named = session.execute(
                    update(Voiceprint)
                    .where(
                        Voiceprint.recording_id == recording_id,
                        Voiceprint.turns_key == turns_key,
                        Voiceprint.label == label,
                    )
                    .values(name=name)
                )
                unknown += [] if _count(named) else [name]
        return unknown

    def named(self, model: str, inbox: str | None, beside: str) -> list[NamedVoiceprint]:
        """Return the voices with a name.

        Args:
            model: by which they were heard, without its revision; those of others cannot be compared.
            inbox: where their recordings came in; None: anywhere.
            beside: the recording whose own voices are left out.
        """
        asked = select(Voiceprint.name, Voiceprint.vector).where(
            Voiceprint.name.is_not(None),
            Voiceprint.model.startswith(f"{model}/", autoescape=True),
            Voiceprint.recording_id != beside,
        )
        if inbox is not None:
            asked = asked.where(Voiceprint.inbox == inbox)
        with self._database.read() as session:
            return [NamedVoiceprint(name or "", vector) for name, vector in session.execute(asked)]

    def known(self) -> list[KnownVoice]:
        """Return whose voices are kept, those without a name last."""
        asked = (
            select(
                Voiceprint.name,
                Voiceprint.inbox,
                func.count(Voiceprint.recording_id.distinct()),
                func.sum(Voiceprint.spoken_ms),
            )
            .group_by(Voiceprint.name, Voiceprint.inbox)
            .order_by(Voiceprint.name.is_(None), Voiceprint.name, Voiceprint.inbox)
        )
        with self._database.read() as session:
            return [
                KnownVoice(name, inbox, count, int(ms)) for name, inbox, count, ms in session.execute(asked)
            ]

    def rename(self, name: str, new: str) -> int:
        """Call somebody otherwise; who is called so already is the same person. Returns how many voices."""
        with self._database.write() as session:
            done = session.execute(update(Voiceprint).where(Voiceprint.name == name).values(name=new))
            return _count(done)

    def rewrite(self, beginning: str, change: Callable[[str], str]) -> int:
        """Store anew each voice whose vector does not begin so; returns how many.

        Args:
            beginning: of the vectors that stay.
            change: returns a vector as it is to be stored.
        """
        others = select(Voiceprint).where(~Voiceprint.vector.startswith(beginning, autoescape=True))
        with self._database.write() as session:
            found = session.scalars(others.with_for_update()).all()
            for each in found:
                each.vector = change(each.vector)
            return len(found)

    def forget(self, name: str | None) -> int:
        """Erase somebody's voices for good, or with None those of all; returns how many."""
        with self._database.write() as session:
            erased = delete(Voiceprint) if name is None else delete(Voiceprint).where(Voiceprint.name == name)
            return _count(session.execute(erased))


def _count(done: object) -> int:
    return int(done.rowcount) if isinstance(done, CursorResult) else 0
