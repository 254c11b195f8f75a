"""Job records: all that a database knows of a job, as JSON beside its manifest, to be taken back from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stenoflow.storage.database.cache_keys import translator_of, with_derived
from stenoflow.storage.database.charges import TotalsChange, scopes
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import insert_missing
from stenoflow.storage.database.states import AttemptState, JobState, SegmentState
from stenoflow.storage.database.tables import (
    Attempt,
    Base,
    Charge,
    ConversationTurn,
    Job,
    Recording,
    Result,
    Segment,
    UtcDateTime,
)
from stenoflow.storage.errors import StorageError

SCHEMA = "stenoflow.answers/1"
# Keys in one statement; databases bound how many they take.
_AT_ONCE = 500
Record = Mapping[str, Any]
T = TypeVar("T", bound=Base)


class JobRecords:
    """Reads jobs whole out of a database, and puts them back into one that does not know them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, job_id: str) -> dict[str, Any]:
        """Return a job with its recording, segments, requests, answers and charges.

        Requests that are still open are left out: what becomes of them is not known yet.
        """
        with self._database.read() as session:
            job = session.get_one(Job, job_id)
            segments = session.scalars(select(Segment).where(Segment.job_id == job_id)).all()
            attempts = session.scalars(
                select(Attempt)
                .where(Attempt.job_id == job_id, Attempt.state != AttemptState.SENT)
                .order_by(Attempt.started_at, Attempt.id)
            ).all()
            ended = {attempt.id for attempt in attempts}
            charges = session.scalars(select(Charge).where(Charge.job_id == job_id).order_by(Charge.id))
            turns = session.scalars(
                select(ConversationTurn)
                .where(ConversationTurn.job_id == job_id)
                .order_by(ConversationTurn.number)
            )
            keys = with_derived((each.cache_key for each in segments), translator_of(job.settings))
            results = _results(session, [*keys, job.settings.get("turns")])
            return {
                "schema": SCHEMA,
                "recording": _values(session.get_one(Recording, job.recording_id)),
                "job": _values(job),
                "segments": [_values(each) for each in segments],
                "attempts": [_values(each) for each in attempts],
                "results": [_values(each) for each in results],
                "charges": [_values(each) for each in charges if each.attempt_id in ended],
                "turns": [_values(each) for each in turns],
            }

    def is_known(self, job_id: str) -> bool:
        """Tell whether there is a job of that id."""
        with self._database.read() as session:
            return session.get(Job, job_id) is not None

    def lacks(self, record: Record) -> bool:
        """Tell whether the database does not know a job, or one of its requests that have ended.

        Raises:
            StorageError: that is no record of a job.
        """
        try:
            job_id, attempts = record["job"]["id"], [each["id"] for each in record["attempts"]]
        except (KeyError, TypeError) as error:
            raise _unreadable() from error
        with self._database.read() as session:
            return session.get(Job, job_id) is None or len(_ended(session, attempts)) < len(set(attempts))

    def restore(self, record: Record) -> None:
        """Put back of a job what the database lacks; nothing is charged twice.

        A job that was unknown is interrupted, until it is published again.

        Raises:
            StorageError: that is no record of a job.
        """
        try:
            with self._database.write() as session:
                _restore(session, record)
        except (KeyError, TypeError, ValueError, SQLAlchemyError) as error:
            raise _unreadable() from error


def _unreadable() -> StorageError:
    return StorageError("that is no record of a job that this version can read")


def _restore(session: Session, record: Record) -> None:
    job = _row(Job, record["job"])
    job.state, job.run_id, job.finished_at = JobState.INTERRUPTED, None, None
    insert_missing(session, _row(Recording, record["recording"]))
    insert_missing(session, job)
    for each in record["segments"]:
        segment = _row(Segment, each)
        insert_missing(session, segment)
        if segment.state == SegmentState.DONE:
            stored = session.get_one(Segment, (segment.job_id, segment.index))
            stored.state, stored.error_kind, stored.error_message = segment.state, None, None
    for each in record["results"]:
        insert_missing(session, _row(Result, each))
    for each in record["turns"]:
        insert_missing(session, _row(ConversationTurn, each))
    _restore_requests(session, record)


def _restore_requests(session: Session, record: Record) -> None:
    """Put back the requests that the database lacks, or has as open, with all that they were charged."""
    ended = _ended(session, [each["id"] for each in record["attempts"]])
    attempts = {
        each["id"]: session.merge(_row(Attempt, each))
        for each in record["attempts"]
        if each["id"] not in ended
    }
    # Entries are only ever added: those of a request that was open then are the first of its entries now.
    there: Counter[str] = Counter()
    for some in _batches(list(attempts)):
        there.update(session.scalars(select(Charge.attempt_id).where(Charge.attempt_id.in_(some))))
    tally = TotalsChange()
    for each in record["charges"]:
        attempt = attempts.get(each["attempt_id"])
        if attempt is None:
            continue
        if there[attempt.id]:
            there[attempt.id] -= 1
            continue
        charge = _row(Charge, each, without=("id",))
        session.add(charge)
        tally.add(scopes(attempt.run_id, attempt.started_at, charge.tag), charge)
    session.flush()
    tally.write(session)


def _ended(session: Session, attempts: Iterable[str]) -> set[str]:
    """Return those of the requests that the database knows, and knows the end of."""
    return {
        found
        for some in _batches(list(attempts))
        for found in session.scalars(
            select(Attempt.id).where(Attempt.id.in_(some), Attempt.state != AttemptState.SENT)
        )
    }


def _results(session: Session, cache_keys: Iterable[str | None]) -> Iterator[Result]:
    for some in _batches([key for key in cache_keys if key]):
        yield from session.scalars(
            select(Result).where(Result.cache_key.in_(some)).order_by(Result.cache_key)
        )


def _batches(values: list[str]) -> Iterator[list[str]]:
    return (values[first : first + _AT_ONCE] for first in range(0, len(values), _AT_ONCE))


def _values(row: Base) -> dict[str, Any]:
    """Return the columns of a row for JSON."""
    values = {each.key: getattr(row, each.key) for each in inspect(type(row)).column_attrs}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def _row(table: type[T], values: Record, without: tuple[str, ...] = ()) -> T:
    """Make a row of what `_values` wrote; columns that this version does not have are left out."""
    row = table()
    for each in inspect(table).column_attrs:
        if each.key in without or each.key not in values:
            continue
        value = values[each.key]
        is_time = isinstance(each.columns[0].type, UtcDateTime) and value is not None
        setattr(row, each.key, datetime.fromisoformat(value) if is_time else value)
    return row
