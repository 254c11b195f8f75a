"""Leases: which runs of the program are alive, so that no two do the same job or send the same request.

A run says every few seconds that it is alive; what it had begun is taken over only when it has been silent
for longer than that could be chance. A run on this machine that is killed holds a lock on a file no more,
so nobody has to wait for its silence.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.rows import Clock, insert_missing, utc_now
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Job, ProgramRun
from stenoflow.storage.errors import StorageError
from stenoflow.storage.private import make_folder

LEASE = timedelta(seconds=60)
"""How long a run is believed to be alive after it last said so."""

_BEAT_S = 15.0
_log = logging.getLogger(__name__)


class Leases:
    """The runs that share a database.

    Args:
        database: where they say that they are alive.
        folder: where those of this machine hold their locks; None: they hold none.
        clock: the time of day; PostgreSQL's own where it is the default one, since machines' clocks differ.
    """

    def __init__(self, database: Database, folder: Path | None = None, clock: Clock = utc_now) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock

    @contextmanager
    def held(self, run_id: str) -> Iterator[None]:
        """Be alive under an id for as long as the block lasts."""
        with self._locked(run_id) as lock:
            self._begin(run_id)
            ended = threading.Event()
            # In a thread: an event loop that is busy for a minute must not look dead.
            beat = threading.Thread(target=self._beat, args=(run_id, ended), name="lease", daemon=True)
            beat.start()
            try:
                yield
            finally:
                ended.set()
                beat.join()
                with suppress(StorageError):
                    self._set(run_id, timedelta())
                    # Where that cannot be said, the lock that is let go says it.
                    if lock is not None:
                        lock.unlink(missing_ok=True)

    def is_alive(self, session: Session, run_id: str | None) -> bool:
        """Tell whether a run may still be at work."""
        run = session.get(ProgramRun, run_id) if run_id is not None else None
        if run is None or self._is_silent(session, run):
            return False
        return not self._is_unlocked(run_id)

    def has_in_hand(self, session: Session, job: Job) -> bool:
        """Tell whether the run that claimed a job last may still be at work on it."""
        return job.state == JobState.RUNNING and self.is_alive(session, job.run_id)

    def heard_within(self, run_id: str, time: timedelta) -> bool:
        """Tell whether a run is alive, or its lease ended no longer ago than a time."""
        with self._database.read() as session:
            run = session.get(ProgramRun, run_id)
            is_heard = run is not None and not self._is_silent(session, run, time)
        return is_heard and not self._is_unlocked(run_id)

    def renew(self, run_id: str) -> None:
        """Say that a run is alive."""
        self._set(run_id, LEASE)

    def take_turn(self, what: str, every: timedelta) -> bool:
        """Take the turn to do what one process of all is to do once in a while; tell whether it was free.

        Args:
            what: is done: stands among the runs, as one that is never alive.
            every: how long after the last turn the next one is free.
        """
        with self._database.write() as session:
            now = self._now(session)
            turn = {"host": platform.node(), "started_at": now, "alive_until": now}
            insert_missing(session, ProgramRun(id=what, **turn | {"started_at": now - every}))
            # Whoever takes it at the same moment waits for this one's end, and finds it taken.
            free = (ProgramRun.id == what, ProgramRun.started_at <= now - every)
            taken = update(ProgramRun).where(*free).values(**turn).returning(ProgramRun.id)
            return session.scalar(taken) is not None

    def _begin(self, run_id: str) -> None:
        with self._database.write() as session:
            now = self._now(session)
            # A run that is tried again is called the same.
            session.merge(
                ProgramRun(id=run_id, host=platform.node(), started_at=now, alive_until=now + LEASE)
            )

    def _set(self, run_id: str, lease: timedelta) -> None:
        with self._database.write() as session:
            until = self._now(session) + lease
            session.execute(update(ProgramRun).where(ProgramRun.id == run_id).values(alive_until=until))

    def _beat(self, run_id: str, ended: threading.Event) -> None:
        while not ended.wait(_BEAT_S):
            try:
                self.renew(run_id)
            except StorageError as error:
                # It goes on: an answer that comes after the lease is kept all the same.
                _log.warning("run %s could not say that it is alive: %s", run_id, error)

    def _now(self, session: Session) -> datetime:
        if self._has_servers_clock:
            now: datetime = session.scalars(select(func.clock_timestamp())).one()
            return now
        return self._clock()

    def _is_silent(self, session: Session, run: ProgramRun, longer: timedelta = timedelta()) -> bool:
        if not self._has_servers_clock:
            return run.alive_until + longer <= self._clock()
        # While the server was away nobody could say anything: the living get as long as a lease to do so.
        now: datetime
        up_since: datetime
        now, up_since = session.execute(select(func.clock_timestamp(), func.pg_postmaster_start_time())).one()
        return max(run.alive_until, up_since + LEASE) + longer <= now

    @property
    def _has_servers_clock(self) -> bool:
        return self._clock is utc_now and not self._database.is_embedded

    @contextmanager
    def _locked(self, run_id: str) -> Iterator[Path | None]:
        if self._folder is None:
            yield None
            return
        make_folder(self._folder)
        path = self._folder / f"{run_id}.lock"
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield path
        finally:
            os.close(handle)

    def _is_unlocked(self, run_id: str | None) -> bool:
        """Tell whether a run of this machine has let go of its lock; of others nothing is known here."""
        if self._folder is None:
            return False
        try:
            handle = os.open(self._folder / f"{run_id}.lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(handle)
