"""The search index: what published transcripts say, kept in the database's own index of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, TextualSelect, delete, func, insert, select, text
from sqlalchemy.orm import Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, storable, utc_now
from stenoflow.storage.database.states import PUBLISHED, JobKind
from stenoflow.storage.database.tables import Job, Passage, Recording, TranscriptCard

# Rows in one statement; databases bound how many values they take.
_AT_ONCE = 500
# Passages that are gone through one by one before the index of texts is asked: what is not in them is rare.
_NEWEST = 10_000


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
        if job_id is not None:
            query = query.where(Passage.job_id == job_id)
        with self._database.read() as session:
            ids = _ids_of(session, job_id)
            if before is not None:
                ids = ids[0], min(ids[1], before - 1)
            if self._database.is_embedded:
                found = _matches_of_fts5(phrases, ids, limit if job_id is None else -1)
                return [Hit(*row) for row in session.execute(query.where(Passage.id.in_(found)))]
            matches = _matches_of_postgresql(phrases)
            newest = query.where(matches, Passage.id.between(max(ids[0], ids[1] - _NEWEST), ids[1]))
            rows = session.execute(newest).all()
            if len(rows) < limit and ids[1] - _NEWEST > ids[0]:
                # It is rare: found by the index, and then sorted. The table would be gone through otherwise.
                whole = select(Passage.id).where(matches, Passage.id.between(*ids)).cte()
                ids_found = select(whole.prefix_with("MATERIALIZED").c.id)
                rows = session.execute(query.where(Passage.id.in_(ids_found))).all()
            return [Hit(*row) for row in rows]

    def unindexed(self) -> list[str]:
        """Return the published transcripts that the index does not know: of before there was one."""
        query = (
            select(Job.id)
            .outerjoin(TranscriptCard, TranscriptCard.job_id == Job.id)
            .where(Job.kind == JobKind.TRANSCRIBE, Job.state.in_(PUBLISHED), TranscriptCard.job_id.is_(None))
            .order_by(Job.id)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def lacking(self) -> int:
        """Count the published transcripts that the index does not know: quickly, and a few more or less."""
        published = select(func.count()).where(Job.kind == JobKind.TRANSCRIBE, Job.state.in_(PUBLISHED))
        with self._database.read() as session:
            known = session.scalar(select(func.count()).select_from(TranscriptCard)) or 0
            return max(0, (session.scalar(published) or 0) - known)


def _matches_of_fts5(phrases: Sequence[SearchedPhrase], ids: tuple[int, int], limit: int) -> TextualSelect:
    """Return the newest ids in which all phrases stand; ``limit``: how many, -1: all."""
    # Asked of the index alone, from the newest on: what stands everywhere is soon found often enough.
    return (
        text(
            "SELECT rowid FROM passages_fts WHERE passages_fts MATCH :wanted"
            " AND rowid >= :first AND rowid <= :last ORDER BY rowid DESC LIMIT :most"
        )
        .bindparams(wanted=_fts5(phrases), first=ids[0], last=ids[1], most=limit)
        .columns(Passage.id)
    )


def _matches_of_postgresql(phrases: Sequence[SearchedPhrase]) -> ColumnElement[bool]:
    asked = text("CAST(:wanted AS tsquery)").bindparams(wanted=_tsquery(phrases))
    return Passage.terms.bool_op("@@")(asked)


def _ids_of(session: Session, job_id: str | None) -> tuple[int, int]:
    """Return the least and the greatest id of a job's passages; None: of all."""
    # Each asked apart: SQLite goes through the whole table for both in one.
    ends = [select(end(Passage.id)) for end in (func.min, func.max)]
    if job_id is not None:
        ends = [query.where(Passage.job_id == job_id) for query in ends]
    first, last = (session.scalar(query) for query in ends)
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
