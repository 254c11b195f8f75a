"""Find what the store has and the database does not know, and take it back from there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stenoflow.storage.database.states import JobKind
from stenoflow.storage.errors import ObjectStoreError, StenoflowError, StorageError
from stenoflow.tasks.artifacts.publisher import ANSWERS, MANIFEST
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.operations.verify import rebuild

# Those that are made of others' transcripts come after them.
_ORDER = (JobKind.TRANSCRIBE, JobKind.SPEAK, JobKind.MINUTES, JobKind.REPLY)


class UnknownToDatabaseError(FailedError):
    """The store has a job, or answers of it, that the database does not know: they would be bought again."""

    kind = "unknown-to-database"


@dataclass(frozen=True, slots=True)
class UnknownJob:
    """A job that the store knows better than the database.

    Attributes:
        record: what is beside its manifest; None where there is nothing that can be read.
    """

    job_id: str
    record: dict[str, Any] | None

    @property
    def error(self) -> UnknownToDatabaseError:
        """What is wrong with that."""
        said = f"the store has more of job {self.job_id} than the database knows: it would be bought again"
        if self.record is None:
            return UnknownToDatabaseError(
                said, "its manifest has no answers; an older copy of the database may"
            )
        return UnknownToDatabaseError(said, "stenoflow db rebuild takes it back")


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a job that was taken back.

    Attributes:
        error: why it could not be taken back, or not be published again; None: it was.
    """

    job_id: str
    error: StenoflowError | None = None


def find_unknown(context: AppContext) -> Iterator[UnknownJob]:
    """Yield the jobs of which the store has more than the database.

    Raises:
        ObjectStoreError: the store cannot be read.
    """
    folders: dict[str, set[str]] = defaultdict(set)
    for key in context.store.list():
        folder, _, name = key.rpartition("/")
        if name in {MANIFEST, ANSWERS} and folder.count("/") == 1:
            folders[folder].add(name)
    for folder, names in folders.items():
        job_id = folder.partition("/")[2]
        record = _read(context, f"{folder}/{ANSWERS}") if ANSWERS in names else None
        try:
            lacks = not context.records.is_known(job_id) if record is None else context.records.lacks(record)
        except StorageError:
            record, lacks = None, not context.records.is_known(job_id)
        if lacks:
            yield UnknownJob(job_id, record)


def restore_unknown(context: AppContext) -> list[Restored]:
    """Take back all that the database lacks, and publish those jobs again; calls nobody.

    Raises:
        ObjectStoreError: the store cannot be read.
    """
    unknown = sorted(find_unknown(context), key=_place)
    return [_restore(context, each) for each in unknown]


def _restore(context: AppContext, unknown: UnknownJob) -> Restored:
    if unknown.record is None:
        return Restored(unknown.job_id, unknown.error)
    try:
        context.records.restore(unknown.record)
        rebuild(context, context.catalog.job(unknown.job_id))
    except StenoflowError as error:
        return Restored(unknown.job_id, error)
    return Restored(unknown.job_id)


def _place(unknown: UnknownJob) -> tuple[int, str]:
    kind = (unknown.record or {}).get("job", {}).get("kind")
    return (_ORDER.index(JobKind(kind)) if kind in set(JobKind) else len(_ORDER), unknown.job_id)


def _read(context: AppContext, key: str) -> dict[str, Any] | None:
    try:
        record = json.loads(context.store.get_bytes(key))
    except (ValueError, RecursionError, ObjectStoreError):
        return None
    return record if isinstance(record, dict) else None
