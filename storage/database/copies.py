"""Copies of artifacts that were written where a user asked for them, by their hashes: ours to replace."""

from __future__ import annotations

from sqlalchemy import exists, or_, select

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import insert_missing
from stenoflow.storage.database.tables import Artifact, Copy, Job, Recording


class WrittenCopies:
    """The copies in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job_id: str, sha256: str) -> None:
        """Record that a job's artifact of this content is copied; done before the copy is there."""
        with self._database.write() as session:
            insert_missing(session, Copy(job_id=job_id, sha256=sha256))

    def is_of(self, source: str | None, sha256: str) -> bool:
        """Tell whether content was made of the recording at an address, now or before; None: of any."""
        jobs = select(Job.id).join(Recording, Recording.id == Job.recording_id)
        if source is not None:
            jobs = jobs.where(Recording.source == source)
        copied = exists().where(Copy.sha256 == sha256, Copy.job_id.in_(jobs))
        published = exists().where(Artifact.sha256 == sha256, Artifact.job_id.in_(jobs))
        with self._database.read() as session:
            return bool(session.scalar(select(or_(copied, published))))
