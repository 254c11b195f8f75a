"""Erasing a recording from the database; the charges stay, without names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Exists, Select, delete, exists, select, update
from sqlalchemy.orm import Session, aliased

from stenoflow.storage.database.cache_keys import translation_key, with_translations
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import (
    Arrival,
    Artifact,
    Attempt,
    Job,
    Recording,
    Result,
    Segment,
    Turn,
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


class Erasure:
    """What it takes to forget recordings."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases

    def find(self, wanted: str) -> list[ErasableRecording]:
        """Return the recordings of that id (its beginning is enough), or of that address."""
        of_id = Recording.id.startswith(wanted, autoescape=True)
        with self._database.read() as session:
            found = session.scalars(select(Recording).where(of_id | (Recording.source == wanted))).all()
            return [_described(session, recording) for recording in found]

    def check_idle(self, recording_id: str) -> None:
        """Raise TakenError if a run is at work on a recording."""
        with self._database.read() as session:
            self._check_idle(session, session.scalars(_jobs_of(recording_id)).all())

    def spoken(self, recording_id: str) -> Sequence[str]:
        """Return the cache keys of a recording's pieces of text whose sound no other recording uses."""
        with self._database.read() as session:
            ids = [job.id for job in session.scalars(_jobs_of(recording_id))]
            pieces = select(Segment.cache_key).where(
                Segment.job_id.in_(ids), Segment.activity == Activity.SPEECH, ~_used_elsewhere(Segment, ids)
            )
            return session.scalars(pieces.distinct()).all()

    def erase(self, recording_id: str) -> None:
        """Erase a recording with its jobs, segments, requests, artifacts, and answers that no other one uses.

        Raises:
            TakenError: a run is at work on it.
        """
        with self._database.write() as session:
            jobs = session.scalars(_jobs_of(recording_id).with_for_update()).all()
            self._check_idle(session, jobs)
            ids = [job.id for job in jobs]
            _erase_answers(session, jobs)
            _erase_turns(session, jobs)
            for table in (Artifact, Attempt, Segment, Turn):
                session.execute(delete(table).where(table.job_id.in_(ids)))
            # The row stays, without names: what lies in a drop folder still is not taken for new.
            nameless = update(Arrival).where(Arrival.job_id.in_(ids))
            session.execute(nameless.values(source="", mark="", reason=None, status="forgotten"))
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


def _erase_answers(session: Session, jobs: Sequence[Job]) -> None:
    """Erase the answers of jobs but those that another recording, with the same sound, uses too."""
    ids = [job.id for job in jobs]
    unused = session.scalars(_keys_of(ids).where(~_used_elsewhere(Segment, ids))).all()
    _erase(session, with_translations(unused))
    for translator in {job.settings["translator"] for job in jobs if job.settings.get("translator")}:
        # Others may have the same sound heard, and not translated by the same model.
        keys = session.scalars(_keys_of(ids).where(~_used_elsewhere(Segment, ids, translator))).all()
        _erase(session, [translation_key(key, translator) for key in keys])


def _keys_of(job_ids: list[str]) -> Select[str]:
    return select(Segment.cache_key).where(Segment.job_id.in_(job_ids))


def _erase(session: Session, gone: Sequence[str]) -> None:
    for first in range(0, len(gone), _AT_ONCE):
        session.execute(delete(Result).where(Result.cache_key.in_(gone[first : first + _AT_ONCE])))


def _used_elsewhere(
    table: type[Result | Segment], job_ids: list[str], translator: str | None = None
) -> Exists:
    """Tell whether another recording has a segment with the cache key of a row, and translated so."""
    other = aliased(Segment)
    used = exists().where(other.cache_key == table.cache_key, other.job_id.not_in(job_ids))
    if translator is None:
        return used
    return used.where(Job.id == other.job_id, Job.settings["translator"].as_string() == translator)
