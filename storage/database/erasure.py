"""Erasing a recording from the database; the charges stay, without names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Exists, Select, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from stenoflow.storage.database.cache_keys import translation_key, translator_of, with_derived
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.rows import Clock, utc_now
from stenoflow.storage.database.search import erase_search
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import (
    Arrival,
    Artifact,
    Attempt,
    ConversationTurn,
    Copy,
    Correction,
    InboxTerm,
    Job,
    Link,
    Receipt,
    Recording,
    Result,
    Segment,
    Voiceprint,
)
from stenoflow.storage.errors import TakenError

# Keys in one statement; databases bound how many they take.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ErasableRecording:
    """A recording with what is known by its name.

    Attributes:
        name: as people know it.
        source: its address.
        version: of the object at that address, where it has one.
        jobs: the ids of its jobs.
    """

    recording_id: str
    name: str
    source: str
    version: str | None
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that has come to its end.

    Attributes:
        source: its recording's address.
        finished_at: when it came to its end.
    """

    id: str
    recording_id: str
    name: str
    source: str
    version: str | None
    tag: str | None
    finished_at: datetime


Item = dict[str, Any]
"""An item of a receipt: ``what`` it was, and its ``sha256`` and ``bytes`` where they are known."""


class Erasure:
    """What it takes to forget recordings."""

    def __init__(self, database: Database, leases: Leases, clock: Clock = utc_now) -> None:
        self._database = database
        self._leases = leases
        self._clock = clock

    def ended_jobs(self) -> list[EndedJob]:
        """Return the jobs that have come to their end, those that ended first before the others."""
        asked = (
            select(Job, Recording)
            .join(Recording, Recording.id == Job.recording_id)
            .where(Job.finished_at.is_not(None))
            .order_by(Job.finished_at, Job.id)
        )
        with self._database.read() as session:
            return [
                EndedJob(job.id, of.id, of.name, of.source, of.version, job.tag, job.finished_at)
                for job, of in session.execute(asked)
                if job.finished_at is not None
            ]

    @contextmanager
    def receipted(self, job: EndedJob, kind: str, cause: str, items: Sequence[Item]) -> Iterator[None]:
        """Record what the block erases of a job.

        That is done first: were the process killed in the block, there would be no receipt of what is gone.
        Where the block fails, the receipt is taken back.
        """
        with self._database.write() as session:
            receipt = self._receipt(job.recording_id, job.id, kind, cause, items)
            session.add(receipt)
            session.flush()
            receipt_id = receipt.id
        try:
            yield
        except BaseException:
            with self._database.write() as session:
                session.execute(delete(Receipt).where(Receipt.id == receipt_id))
            raise

    def receipts(self, recording: str = "") -> Sequence[Receipt]:
        """Return the receipts of what was erased, oldest first.

        Args:
            recording: the beginning of a recording's id; of all recordings by default.
        """
        of_it = Receipt.recording_id.startswith(recording, autoescape=True)
        with self._database.read() as session:
            return session.scalars(select(Receipt).where(of_it).order_by(Receipt.id)).all()

    def artifacts(self, job_id: str) -> list[Item]:
        """Return a job's artifacts as a receipt names them."""
        with self._database.read() as session:
            return _artifact_items(session, [job_id])

    def erase_artifacts(self, job: EndedJob, cause: str) -> bool:
        """Erase what is recorded of a job's artifacts, with a receipt; True if its recording has none now."""
        with self._database.write() as session:
            items = _artifact_items(session, [job.id])
            session.add(self._receipt(job.recording_id, job.id, "artifacts", cause, items))
            session.execute(delete(Artifact).where(Artifact.job_id == job.id))
            erase_search(session, [job.id], scrub=True)
            _erase_corrections_of_nothing(session, job.recording_id)
            others = select(Artifact.job_id).where(Artifact.job_id.in_(_ids_of(job.recording_id))).limit(1)
            return session.scalars(others).first() is None

    def answers(self, job_id: str, expired: Sequence[str]) -> list[Item]:
        """Return a job's stored answers as a receipt names them, but those that other jobs need.

        ``expired``: the jobs that need theirs no more.
        """
        with self._database.read() as session:
            return list(_answer_items(session, job_id, expired))

    def erase_answers(self, job: EndedJob, expired: Sequence[str], cause: str) -> None:
        """Erase those answers of a job, and what it said in a conversation, with a receipt."""
        with self._database.write() as session:
            items = list(_answer_items(session, job.id, expired))
            session.add(self._receipt(job.recording_id, job.id, "answers", cause, items))
            of = session.get_one(Job, job.id)
            _erase_answers(session, [of], expired)
            _erase_voices(session, of)
            of.settings = {name: value for name, value in of.settings.items() if name != "attendees"}
            session.execute(update(Attempt).where(Attempt.job_id == job.id).values(answer=None))
            session.execute(delete(ConversationTurn).where(ConversationTurn.job_id == job.id))
            _erase_corrections_of_nothing(session, job.recording_id)

    def _receipt(
        self, recording_id: str, job_id: str | None, kind: str, cause: str, items: Iterable[Item]
    ) -> Receipt:
        return Receipt(
            recording_id=recording_id,
            job_id=job_id,
            kind=kind,
            cause=cause,
            items=list(items),
            erased_at=self._clock(),
        )

    def find(self, wanted: str) -> list[ErasableRecording]:
        """Return the recordings of that id (its beginning is enough), or of that address."""
        of_id = Recording.id.startswith(wanted, autoescape=True)
        with self._database.read() as session:
            found = session.scalars(select(Recording).where(of_id | (Recording.source == wanted))).all()
            return [_described(session, recording) for recording in found]

    def words(self, recording_id: str) -> list[Item]:
        """Return the words that glossaries of inboxes have from a recording, as a receipt names them."""
        with self._database.read() as session:
            return _words(session, recording_id)

    def check_idle(self, recording_id: str) -> None:
        """Raise TakenError if a run is at work on a recording."""
        with self._database.read() as session:
            self._check_idle(session, session.scalars(_jobs_of(recording_id)).all())

    def spoken(self, job_ids: Sequence[str], unneeding: Sequence[str]) -> Sequence[str]:
        """Return the cache keys of jobs' pieces of text whose sound no job outside ``unneeding`` uses."""
        with self._database.read() as session:
            pieces = select(Segment.cache_key).where(
                Segment.job_id.in_(job_ids),
                Segment.activity == Activity.SPEECH,
                ~_used_elsewhere(Segment, unneeding),
            )
            return session.scalars(pieces.distinct()).all()

    def erase(self, recording_id: str) -> None:
        """Erase a recording with its jobs, segments, requests, artifacts, and answers that no other one uses.

        A receipt stays. Of one that somebody else forgot meanwhile nothing is left to do.

        Raises:
            TakenError: a run is at work on it.
        """
        with self._database.write() as session:
            forgotten = session.get(Recording, recording_id, with_for_update=True)
            if forgotten is None:
                return
            jobs = session.scalars(_jobs_of(recording_id).with_for_update()).all()
            self._check_idle(session, jobs)
            ids = [job.id for job in jobs]
            sound = {"what": "recording", "sha256": forgotten.sha256, "bytes": forgotten.bytes}
            items = [sound, *_artifact_items(session, ids), *_words(session, recording_id)]
            session.add(self._receipt(recording_id, None, "all", "forget", items))
            _erase_answers(session, jobs, ids)
            _erase_turns(session, jobs)
            erase_search(session, ids, scrub=True)
            for table in (Artifact, Attempt, Copy, Link, Segment, ConversationTurn):
                session.execute(delete(table).where(table.job_id.in_(ids)))
            # The row stays, without names: what lies in a drop folder still is not taken for new.
            nameless = update(Arrival).where(Arrival.job_id.in_(ids))
            session.execute(nameless.values(source="", mark="", reason=None, status="forgotten"))
            session.execute(delete(Correction).where(Correction.recording_id == recording_id))
            session.execute(delete(InboxTerm).where(InboxTerm.recording_id == recording_id))
            session.execute(delete(Voiceprint).where(Voiceprint.recording_id == recording_id))
            session.execute(delete(Job).where(Job.id.in_(ids)))
            session.execute(delete(Recording).where(Recording.id == recording_id))

    def _check_idle(self, session: Session, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if self._leases.has_in_hand(session, job):
                raise TakenError(f"a run is at work on job {job.id}", "interrupt it, or wait for its end")


def _jobs_of(recording_id: str) -> Select[Job]:
    return select(Job).where(Job.recording_id == recording_id).order_by(Job.id)


def _described(session: Session, recording: Recording) -> ErasableRecording:
    jobs = session.scalars(select(Job.id).where(Job.recording_id == recording.id)).all()
    return ErasableRecording(recording.id, recording.name, recording.source, recording.version, tuple(jobs))


def _erase_turns(session: Session, jobs: Sequence[Job]) -> None:
    """Erase who spoke when, but what another recording's jobs use too."""
    turns = {job.settings["turns"] for job in jobs if job.settings.get("turns")}
    if not turns:
        return
    others = session.scalars(select(Job.settings).where(Job.id.not_in([job.id for job in jobs])))
    turns -= {settings.get("turns") for settings in others}
    session.execute(delete(Result).where(Result.cache_key.in_(turns)))


def _erase_voices(session: Session, job: Job) -> None:
    """Erase the voices that were heard for a job."""
    heard = Voiceprint.turns_key == job.settings.get("turns")
    session.execute(delete(Voiceprint).where(Voiceprint.recording_id == job.recording_id, heard))


def _erase_corrections_of_nothing(session: Session, recording_id: str) -> None:
    """Erase what people corrected in a recording of which there is neither an artifact nor an answer.

    A correction quotes what was said.
    """
    ids = _ids_of(recording_id)
    artifacts = select(Artifact.job_id).where(Artifact.job_id.in_(ids)).limit(1)
    answers = (
        select(Result.cache_key)
        .join(Segment, Segment.cache_key == Result.cache_key)
        .where(Segment.job_id.in_(ids))
        .limit(1)
    )
    if session.scalars(artifacts).first() is None and session.scalars(answers).first() is None:
        session.execute(delete(Correction).where(Correction.recording_id == recording_id))


def _artifact_items(session: Session, job_ids: Sequence[str]) -> list[Item]:
    found = session.scalars(select(Artifact).where(Artifact.job_id.in_(job_ids)).order_by(Artifact.name))
    return [{"what": each.name, "sha256": each.sha256, "bytes": each.bytes} for each in found]


def _words(session: Session, recording_id: str) -> list[Item]:
    """Return an item for each word: without its hash, from which so short a text could be guessed."""
    count = select(func.count()).select_from(InboxTerm).where(InboxTerm.recording_id == recording_id)
    return [{"what": "word of a glossary"}] * session.scalars(count).one()


def _answer_items(session: Session, job_id: str, expired: Sequence[str]) -> Iterator[Item]:
    keys = _keys_of([job_id]).where(~_used_elsewhere(Segment, expired))
    for answer in session.scalars(select(Result.answer).where(Result.cache_key.in_(keys))):
        content = answer.encode(errors="surrogatepass")
        yield {"what": "answer", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _ids_of(recording_id: str) -> Select[str]:
    return select(Job.id).where(Job.recording_id == recording_id)


def _erase_answers(session: Session, jobs: Sequence[Job], unneeding: Sequence[str]) -> None:
    """Erase the answers of jobs but those that a job uses, too, which is not among ``unneeding``."""
    ids = [job.id for job in jobs]
    unused = session.scalars(_keys_of(ids).where(~_used_elsewhere(Segment, unneeding))).all()
    _erase(session, with_derived(unused))
    by_chat = [job for job in jobs if job.settings.get("translator")]
    for translator, job in {translator_of(job.settings): job for job in by_chat}.items():
        # Others may have the same sound transcribed, and not translated by the same model.
        keys = session.scalars(_keys_of(ids).where(~_used_elsewhere(Segment, unneeding, job))).all()
        _erase(session, [translation_key(key, translator) for key in keys])


def _keys_of(job_ids: list[str]) -> Select[str]:
    return select(Segment.cache_key).where(Segment.job_id.in_(job_ids))


def _erase(session: Session, gone: Sequence[str]) -> None:
    for first in range(0, len(gone), _AT_ONCE):
        session.execute(delete(Result).where(Result.cache_key.in_(gone[first : first + _AT_ONCE])))


def _used_elsewhere(
    table: type[Result | Segment], job_ids: Sequence[str], translated_as: Job | None = None
) -> Exists:
    """Tell whether another recording has a segment with the cache key of a row, translated as in a job."""
    other = aliased(Segment)
    used = exists().where(other.cache_key == table.cache_key, other.job_id.not_in(job_ids))
    if translated_as is None:
        return used
    same = (
        func.coalesce(Job.settings[name].as_string(), "") == translated_as.settings.get(name, "")
        for name in ("translator", "translator_provider")
    )
    return used.where(Job.id == other.job_id, *same)
