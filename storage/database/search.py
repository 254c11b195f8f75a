"""What published transcripts say: kept to be searched, by the database's own index of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, delete, func, insert, select, text
from sqlalchemy.orm import Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, storable, utc_now
from stenoflow.storage.database.states import JobKind, JobState
from stenoflow.storage.database.tables import Job, Passage, Recording, TranscriptCard

# Rows in one statement; databases bound how many values they take.
_AT_ONCE = 500
_LAST = 2**63 - 1
_PUBLISHED = (JobState.COMPLETE, JobState.PARTIAL)


class SearchedPhrase(Protocol):
    """Terms that must stand one behind the other."""

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms, at least one."""

    @property
    def is_prefix(self) -> bool:
        """Whether the last term may be the beginning of a longer one."""


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage to be found, with its terms in order."""

    start_ms: int
    speaker: str | None
    text: str
    terms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and the job and recording that it is of."""

    id: int
    job_id: str
    name: str
    start_ms: int
    speaker: str | None
    text: str


class SearchIndex:
    """The passages of a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def put(self, card: TranscriptCard, passages: Iterable[IndexedPassage]) -> None:
        """Replace what is known of a job's transcript."""
        is_embedded = self._database.is_embedded
        rows = [
            {
                "job_id": card.job_id,
                "start_ms": each.start_ms,
                "speaker": None if each.speaker is None else storable(each.speaker),
                "text": storable(each.text),
                "terms": " ".join(each.terms) if is_embedded else _vector(each.terms),
            }
            for each in passages
        ]
        card.published_at = self._clock()
        with self._database.write() as session:
            erase_search(session, [card.job_id])
            session.add(card)
            for first in range(0, len(rows), _AT_ONCE):
                session.execute(insert(Passage), rows[first : first + _AT_ONCE])

    def search(
        self,
        phrases: Sequence[SearchedPhrase],
        *,
        limit: int = 50,
        before: int | None = None,
        job_id: str | None = None,
    ) -> list[Hit]:
        """Return the passages in which all phrases stand: of what was published last before the others.

        Args:
            phrases: what is looked for; none: nothing is found.
            limit: how many at most.
            before: the id of the last hit of the page before.
            job_id: of this job only.
        """
        if not phrases:
            return []
        query = (
            select(
                Passage.id, Passage.job_id, Recording.name, Passage.start_ms, Passage.speaker, Passage.text
            )
            .join(Job, Job.id == Passage.job_id)
            .join(Recording, Recording.id == Job.recording_id)
            .order_by(Passage.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(Passage.id < before)
        with self._database.read() as session:
            ids = None if job_id is None else _ids_of(session, job_id)
            if job_id is not None:
                query = query.where(Passage.job_id == job_id)
            matches = self._matches(phrases, limit if job_id is None else -1, before, ids)
            return [Hit(*row) for row in session.execute(query.where(matches))]

    def unindexed(self) -> list[str]:
        """Return the published transcripts that the index does not know: of before there was one."""
        query = (
            select(Job.id)
            .outerjoin(TranscriptCard, TranscriptCard.job_id == Job.id)
            .where(Job.kind == JobKind.TRANSCRIBE, Job.state.in_(_PUBLISHED), TranscriptCard.job_id.is_(None))
            .order_by(Job.id)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def lacking(self) -> int:
        """Count the published transcripts that the index does not know: quickly, and a few more or less."""
        published = select(func.count()).where(Job.kind == JobKind.TRANSCRIBE, Job.state.in_(_PUBLISHED))
        with self._database.read() as session:
            known = session.scalar(select(func.count()).select_from(TranscriptCard)) or 0
            return max(0, (session.scalar(published) or 0) - known)

    def _matches(
        self, phrases: Sequence[SearchedPhrase], limit: int, before: int | None, ids: tuple[int, int] | None
    ) -> ColumnElement[bool]:
        """Return the condition that all phrases stand in a passage.

        Args:
            phrases: at least one.
            limit: how many of the newest are wanted; -1: all.
            before: ids are less than this.
            ids: the least and the greatest that are wanted; None: whatever they are.
        """
        if self._database.is_embedded:
            first, last = ids or (0, _LAST)
            # Asked of the index alone, from the newest on: what stands everywhere is soon found often enough.
            found = text(
                "SELECT rowid FROM passages_fts WHERE passages_fts MATCH :wanted"
                " AND rowid >= :first AND rowid <= :last ORDER BY rowid DESC LIMIT :most"
            ).bindparams(
                wanted=_fts5(phrases),
                first=first,
                last=last if before is None else min(last, before - 1),
                most=limit,
            )
            return Passage.id.in_(found.columns(Passage.id))
        asked = text("CAST(:wanted AS tsquery)").bindparams(wanted=_tsquery(phrases))
        return Passage.terms.bool_op("@@")(asked)


def _ids_of(session: Session, job_id: str) -> tuple[int, int]:
    """Return the least and the greatest id of a job's passages."""
    query = select(func.min(Passage.id), func.max(Passage.id)).where(Passage.job_id == job_id)
    first, last = session.execute(query).one()
    return first or 0, last or 0


def erase_search(session: Session, job_ids: Sequence[str], *, scrub: bool = False) -> None:
    """Erase what is known of jobs' transcripts.

    Args:
        session: one that writes.
        job_ids: the jobs.
        scrub: leave no word of theirs in the index of SQLite, which otherwise keeps them until it is merged.
    """
    gone = session.execute(delete(Passage).where(Passage.job_id.in_(job_ids)))
    session.execute(delete(TranscriptCard).where(TranscriptCard.job_id.in_(job_ids)))
    if scrub and session.get_bind().dialect.name == "sqlite" and gone.rowcount:  # type: ignore[attr-defined]
        session.execute(text("INSERT INTO passages_fts(passages_fts) VALUES ('optimize')"))


def _vector(terms: Sequence[str]) -> str:
    """Write terms as PostgreSQL writes a tsvector."""
    return " ".join(f"{_quoted(term)}:{place}" for place, term in enumerate(terms, 1))


def _quoted(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


def _tsquery(phrases: Sequence[SearchedPhrase]) -> str:
    return " & ".join(
        "(" + " <-> ".join(map(_quoted, each.terms)) + (":*" if each.is_prefix else "") + ")"
        for each in phrases
    )


def _fts5(phrases: Sequence[SearchedPhrase]) -> str:
    def quoted(phrase: SearchedPhrase) -> str:
        inside = " ".join(phrase.terms).replace('"', '""')
        return f'"{inside}"{"*" if phrase.is_prefix else ""}'

    return " ".join(map(quoted, phrases))
