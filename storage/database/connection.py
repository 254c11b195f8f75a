"""Opening the database: SQLite for one machine, PostgreSQL for more; the same tables in both."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import stamina
from sqlalchemy import Connection, Engine, column, create_engine, event, inspect, select, table
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from stenoflow import migrations
from stenoflow.storage.database.reconnect import Backoff, OutageError
from stenoflow.storage.errors import AddressError, DatabaseError, DiskFullError
from stenoflow.storage.private import is_private
from stenoflow.storage.reasons import plain_reason

_log = logging.getLogger(__name__)
_DRIVERS = {"sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"}
# For SQLite's write lock, or for a connection to PostgreSQL to be free.
_TIMEOUT_S = 60
# The driver itself would try for more than two minutes.
_CONNECT_TIMEOUT_S = 10
# What an address may hold besides the password before the @.
_SECRETS = ("password", "sslpassword", "oauth_client_secret")


class Database:
    """One database; hands out sessions, each of which is one transaction.

    Reading and writing are told apart because SQLite must take its write lock when a transaction
    begins: a transaction that reads first and writes later let two workers claim the same row.
    """

    def __init__(self, engine: Engine) -> None:
        self._reading = engine
        self._writing = engine.execution_options(stenoflow_writes=True)
        self._joined = threading.local()

    @property
    def engine(self) -> Engine:
        """The engine, for migrations."""
        return self._writing

    @property
    def is_embedded(self) -> bool:
        """Whether this is the SQLite file that upgrades itself."""
        return self._reading.dialect.name == "sqlite"

    @property
    def name(self) -> str:
        """The address, without a password."""
        url = self._reading.url
        if self.is_embedded:
            return f"sqlite:///{url.database}"
        return url.difference_update_query(_SECRETS).render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads. Raises DatabaseError, BrokenOffError."""
        joined: Session | None = getattr(self._joined, "session", None)
        with self._errors():
            if joined is not None:
                yield joined
                return
            with Session(self._reading, expire_on_commit=False, autoflush=False) as session:
                yield session

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have whatever this thread reads in the block read in one transaction; it writes nothing in it.

        A row that was read is not read again. Raises DatabaseError, BrokenOffError.
        """
        with self.read() as session:
            before = getattr(self._joined, "session", None)
            self._joined.session = session
            try:
                yield
            finally:
                self._joined.session = before

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that writes; committed at the end, rolled back on an error.

        Raises:
            BrokenOffError: the server went away meanwhile, be it before or after it was committed.
            DatabaseError: of any other failure; nothing was written.
        """
        if getattr(self._joined, "session", None) is not None:
            raise RuntimeError("what is written would not be seen by what the same block reads")
        with self._errors(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def empty_log(self) -> None:
        """Leave nothing in SQLite's log of what was erased, while others keep the database open."""
        if not self.is_embedded:
            return
        with self._errors(), closing(self._reading.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        self._reading.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _explain(error, self.name) from error
        except PoolTimeoutError as error:
            what = f"all connections to the database {self.name} stayed in use for {_TIMEOUT_S} s"
            raise DatabaseError(what, "try again with a lower --concurrency") from error


def open_database(url: str, *, reached: bool = False) -> Database:
    """Open a database without touching its tables.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://USER@HOST/NAME``.
        reached: its server was there before; one that is away now is waited for.

    Raises:
        AddressError: the address cannot be used.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_open_sqlite(parsed))
    return Database(_open_postgresql(parsed, reached=reached))


def _parse(url: str) -> URL:
    hint = "give sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The cause is left out: with no @HOST behind it, a password is taken for the port, and named.
        raise AddressError("the database address cannot be read", hint) from None
    if parsed.drivername not in _DRIVERS:
        raise AddressError(f"no support for {parsed.drivername} databases", hint)
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    # In memory, each connection would see a database of its own.
    if not parsed.database or parsed.database == ":memory:" or "\0" in parsed.database:
        raise AddressError("the database address names no file", hint)
    # In a locale that is not UTF-8, or of a name that is not, a file is called by its bytes.
    written = url.partition("///")[2].partition("?")[0]
    return parsed.set(database=os.fsdecode(unquote_to_bytes(os.fsencode(written))))


def _open_sqlite(url: URL) -> Engine:
    file = Path(url.database or "")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"cannot make the folder of {file}: {plain_reason(error)}") from error
    if is_private(file.parent):
        # SQLite would let others read it; what it keeps beside the file is as private as that.
        with suppress(OSError):
            os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    # A connection a thread: those that wait for the write lock must not keep the others from reading.
    engine = create_engine(url, connect_args={"timeout": _TIMEOUT_S}, max_overflow=-1)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_postgresql(url: URL, *, reached: bool) -> Engine:
    wait = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_TIMEOUT_S}
    engine = create_engine(url, connect_args=wait, pool_pre_ping=True, pool_timeout=_TIMEOUT_S)
    event.listen(engine, "do_connect", Backoff(reached=reached).connect)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late and is never IMMEDIATE; SQLAlchemy's event emits ours.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    # Money: a commit must survive a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What is forgotten must not be left in the free pages of the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    # SQLite waits for locks everywhere but here, where processes that start together on a new file meet.
    for attempt in stamina.retry_context(
        on=_is_locked, attempts=None, timeout=_TIMEOUT_S, wait_initial=0.01, wait_max=0.5
    ):
        with attempt:
            cursor.execute("PRAGMA journal_mode=WAL")


def _is_locked(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("stenoflow_writes", False)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    try:
        # By the driver itself: by SQLAlchemy it would cost as much as the statement that follows.
        connection.connection.cursor().execute(begin)
    except sqlite3.Error as error:
        raise OperationalError(begin, None, error) from error


def _explain(error: DBAPIError, name: str) -> DatabaseError | DiskFullError:
    cause = str(error.orig).strip().split("\n")[0]
    if "disk is full" in cause or "No space left on device" in cause:
        return DiskFullError(f"no space left for the database {name}", "free some space, then resume")
    kind = OutageError if error.connection_invalidated else DatabaseError
    if "connection to server" in cause or cause.startswith("connection failed: "):
        # libpq says three times that it failed, and then why.
        why = plain_reason(cause.rpartition("failed: ")[2].removeprefix("FATAL: "))
        return kind(f"no connection to the database {name}: {why}", "check that it runs, and its address")
    return kind(f"the database {name} failed: {cause}", "check that it runs and can be written")


_MIGRATIONS = Path(migrations.__file__).parent
_UPGRADE_LOCK = 7_364_566  # any number that no other program on the server uses


def revision(database: Database) -> tuple[str | None, str]:
    """Return the revision that the tables are at, None where there are none, and the program's own."""
    return _current(database), migrations.HEAD


def pending(database: Database) -> list[str]:
    """Return what the migrations that are missing do, a line each, in their order.

    Raises:
        DatabaseError: the tables are newer than this program.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - loads slowly, and is not needed for long

    current = _current(database)
    check_not_newer(database, current)
    scripts = ScriptDirectory(str(_MIGRATIONS))
    missing = scripts.iterate_revisions("head", current or "base")
    return [f"{each.revision}: {each.doc}" for each in reversed(list(missing))]


def copy_before_upgrade(database: Database) -> Path | None:
    """Return the file that an upgrade copies the embedded database to, named by the revision that it has.

    None: there is nothing to copy, for it is another database, has no tables yet, or is up to date.
    """
    return _copy_of(database, _current(database))


def _copy_of(database: Database, current: str | None) -> Path | None:
    if not database.is_embedded or current in {None, migrations.HEAD}:
        return None
    file = Path(database.engine.url.database or "")
    return file.with_name(f"{file.name}.{current}")


def _back_up(database: Database, current: str | None) -> None:
    """Copy the embedded database to a file beside it, whole and consistent, and say so.

    Raises:
        DatabaseError: it cannot be copied.
    """
    copy = _copy_of(database, current)
    if copy is None:
        return
    try:
        copy.unlink(missing_ok=True)
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        file = database.engine.url.database or ""
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            copy.unlink(missing_ok=True)
        raise DatabaseError(
            f"the database {database.name} could not be copied to {copy.name} before its upgrade:"
            f" {plain_reason(error)}",
            "free some space, or upgrade without a copy: stenoflow db upgrade --no-backup",
        ) from error
    _log.warning(
        "the database is of an older version: it is upgraded, and was copied to %s; delete that once all is"
        " well: what is forgotten stays in it",
        copy,
    )


def upgrade(database: Database, *, backup: bool = True) -> str:
    """Run the migrations that are missing; several processes may do so at once.

    Args:
        database: to be upgraded.
        backup: copy the embedded database first, where it has tables.

    Returns:
        The revision that the tables are at now.

    Raises:
        DatabaseError: it failed, or the tables are newer than this program.
    """
    # Alembic loads slowly, and a database that is up to date needs none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        # SQLite's write lock, or PostgreSQL's advisory one, so that two starting processes take turns.
        with database.engine.begin() as connection:
            if not database.is_embedded:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            elif backup:
                # Under the lock: what another process has upgraded meanwhile is no copy of what was before.
                _back_up(database, _revision_in(connection))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise DatabaseError(f"the database {database.name} could not be upgraded: {error.orig}") from error
    return migrations.HEAD


def make_ready(database: Database) -> Database:
    """Upgrade the embedded database; of any other, check that it is at the right version.

    Raises:
        DatabaseError: the tables are of another version.
    """
    current = _current(database)
    if current == migrations.HEAD:
        return database
    check_not_newer(database, current)
    if not database.is_embedded:
        raise DatabaseError(
            f"the tables in {database.name} are at revision {current or 'none'}, not {migrations.HEAD}",
            "run: stenoflow db upgrade",
        )
    upgrade(database)
    return database


def check_not_newer(database: Database, current: str | None) -> None:
    """Raise DatabaseError for tables that a newer program made: there is no way back."""
    if current is None or any(_MIGRATIONS.glob(f"versions/{current}_*.py")):
        return
    raise DatabaseError(
        f"the tables in {database.name} are at revision {current}, which a newer stenoflow made; this one"
        f" knows {migrations.HEAD} and cannot go back",
        "install the newer version again, or restore the copy that was made before the upgrade",
    )


def _current(database: Database) -> str | None:
    with database.read() as session:
        return _revision_in(session.connection())


def _revision_in(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
