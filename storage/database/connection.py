"""Opening the database: SQLite for one machine, PostgreSQL for more; the same tables in both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from storage.errors import AddressError, DatabaseError, DiskFullError

_BUSY_TIMEOUT_S = 60


class Database:
    """One database; hands out sessions, each of which is one transaction.

    Reading and writing are told apart because SQLite must take its write lock when a transaction
    begins: a transaction that reads first and writes later let two workers claim the same row.
    """

    def __init__(self, engine: Engine) -> None:
        self._reading = engine
        self._writing = engine.execution_options(stenoflow_writes=True)

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
        return self._reading.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads. Raises DatabaseError."""
        with self._errors(), Session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that writes; committed at the end, rolled back on an error."""
        with self._errors(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self._reading.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _explain(error, self.name) from error


def open_database(url: str) -> Database:
    """Open a database without touching its tables.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://USER@HOST/NAME``.

    Raises:
        AddressError: the address cannot be used.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_open_sqlite(parsed))
    return Database(create_engine(parsed, pool_pre_ping=True))


def _parse(url: str) -> URL:
    hint = "give sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise AddressError(f"no support for a {parsed.get_backend_name()} database", hint)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise AddressError("the database address cannot be read", hint) from error
    return parsed


def _open_sqlite(url: URL) -> Engine:
    if url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"cannot make the folder of {url.database}: {error.strerror}") from error
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late and is never IMMEDIATE; SQLAlchemy's event emits ours.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # Money: a commit must survive a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("stenoflow_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _explain(error: DBAPIError, name: str) -> DatabaseError | DiskFullError:
    cause = str(error.orig).strip().split("\n")[0]
    if "disk is full" in cause:
        return DiskFullError(f"no space left for the database {name}", "free some space, then resume")
    return DatabaseError(f"the database {name} failed: {cause}", "check that it runs and can be written")
