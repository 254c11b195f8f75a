from __future__ import annotations

import socket
import sqlite3
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select, text
from sqlalchemy.orm import Session

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database, open_database, upgrade
from stenoflow.storage.database.rows import utc_now
from stenoflow.storage.database.tables import Recording
from stenoflow.storage.errors import AddressError, DatabaseError, DiskFullError, StenoflowError
from tests.storage.database.rows import open_job, recording
from tests.storage.objects.unprivileged import no_permission

SECRET = "hunter2"
COUNT = select(func.count()).select_from(Recording)
ONE = text("SELECT 1")


def _count(database: Database) -> int:
    with database.read() as session:
        return session.scalars(COUNT).one()


def _insert(session: Session, name: str) -> None:
    row = recording(f"file:///{name}.mp3")
    row.created_at = utc_now()
    session.add(row)
    session.flush()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stenoflow.db"


def _change_mind(_: Session) -> None:
    raise StenoflowError("changed my mind")


@contextmanager
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """Another program that holds SQLite's write lock, at the longest to the block's end."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_what_was_written_before_an_error_is_undone(database: Database) -> None:
    def write(*names: str, then: Callable[[Session], object]) -> None:
        with database.write() as session:
            for name in names:
                _insert(session, name)
            then(session)

    with pytest.raises(StenoflowError, match="changed my mind"):
        write("a", then=_change_mind)
    with pytest.raises(DatabaseError):
        write("b", "b", then=Session.flush)
    assert _count(database) == 0
    write("c", then=Session.flush)
    assert _count(database) == 1


def test_readers_neither_see_nor_wait_for_what_is_being_written(database: Database) -> None:
    with database.write() as session:
        _insert(session, "a")
        assert _count(database) == 0
    assert _count(database) == 1


def test_rows_can_be_used_after_their_transaction(database: Database) -> None:
    catalog = Catalog(database)
    stored = catalog.add_recording(recording())
    database.close()
    assert stored.name == catalog.recording(stored.id).name == "meeting.mp3"


def test_what_a_block_reads_together_is_of_one_transaction_and_it_writes_nothing(
    database: Database,
) -> None:
    with database.reading():
        with database.read() as first, database.read() as second:
            assert first is second
        with database.reading(), database.read() as third:
            assert third is first
        with pytest.raises(RuntimeError, match="would not be seen"), database.write():
            pass
        with ThreadPoolExecutor(1) as other:
            assert other.submit(_count, database).result() == 0
    with database.read() as apart:
        assert apart is not first
    with database.write() as session:
        _insert(session, "after it")
    assert _count(database) == 1


def test_a_transaction_of_sqlite_that_writes_takes_the_lock_before_it_reads(embedded: Database) -> None:
    def raise_by_one(_: int) -> None:
        with embedded.write() as session:
            known = session.scalars(COUNT).one()
            _insert(session, str(known))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(raise_by_one, range(24)))
    assert _count(embedded) == 24


def test_every_connection_to_sqlite_is_safe_against_a_power_cut(embedded: Database) -> None:
    with embedded.read() as one, embedded.read() as other, embedded.write() as third:
        for session in (one, other, third):
            pragmas = {
                name: session.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
            assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_locked_sqlite_is_waited_for(embedded: Database, file: Path) -> None:
    with locked(file) as other:
        assert _count(embedded) == 0  # a reader does not wait
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(open_job, Catalog(embedded))
            with pytest.raises(TimeoutError):
                waiting.result(0.8)
            other.execute("ROLLBACK")
            job_id = waiting.result()
    assert Catalog(embedded).job(job_id).id == job_id


def test_a_sqlite_that_stays_locked_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenoflow.storage.database.connection._TIMEOUT_S", 0.2)
    database = open_database(f"sqlite:///{file}")
    upgrade(database)
    with locked(file), pytest.raises(DatabaseError, match="locked"):
        Catalog(database).add_recording(recording())
    assert _count(database) == 0
    database.close()


def test_any_number_of_threads_read_sqlite(embedded: Database) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(embedded.read()) for _ in range(40)]
        assert [session.scalars(COUNT).one() for session in sessions] == [0] * 40


def test_too_many_threads_at_postgresql_are_told_so(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenoflow.storage.database.connection._TIMEOUT_S", 0.2)
    database = open_database(postgres_url)
    with ExitStack() as stack:
        for _ in range(15):  # SQLAlchemy's pool
            stack.enter_context(database.read()).execute(ONE)
        with pytest.raises(DatabaseError, match=r"all connections .* in use"):
            _count(database)
    database.close()


def test_a_connection_that_postgresql_closed_meanwhile_is_replaced(
    postgres: Database, postgres_url: str
) -> None:
    with postgres.read() as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other = open_database(postgres_url)
    with other.read() as session:
        assert session.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid}).scalar_one()
    other.close()
    with postgres.read() as session:
        assert session.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid


def test_a_connection_that_breaks_in_a_transaction_is_an_error_and_undoes_it(postgres: Database) -> None:
    def write_and_break() -> None:
        with postgres.write() as session:
            _insert(session, "a")
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseError, match="terminating"):
        write_and_break()
    assert _count(postgres) == 0


def test_a_full_disk_is_told_apart(embedded: Database) -> None:
    catalog = Catalog(embedded)
    job_id = open_job(catalog)
    with embedded.write() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar_one()
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(DiskFullError, match=r"no space left .*stenoflow\.db.*resume"):
        catalog.describe(job_id, 1, {"large": "x" * 100_000}, 0, {})
    assert catalog.recording(catalog.job(job_id).recording_id).duration_ms is None


def test_a_folder_without_permission_is_an_error_of_the_database(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with no_permission(folder), pytest.raises(DatabaseError, match="cannot make the folder"):
        open_database(f"sqlite:///{folder}/deeper/stenoflow.db")
    database = open_database(f"sqlite:///{folder}/stenoflow.db")
    with no_permission(folder), pytest.raises(DatabaseError, match="unable to open"):
        _count(database)


def test_a_folder_that_cannot_be_written_is_an_error_of_the_database(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        # pytest's own folder lets nobody else in, and so hides whether this one does.
        folder, shut = Path(name), tmp_path / "shut"
        shut.mkdir()
        url = f"sqlite:///{folder}/stenoflow.db"
        database = open_database(url)
        upgrade(database)
        database.close()
        folder.chmod(0o555)
        (folder / "stenoflow.db").chmod(0o444)
        with no_permission(shut), pytest.raises(DatabaseError, match=r"stenoflow\.db failed"):
            Catalog(open_database(url)).add_recording(recording())


@pytest.mark.parametrize("content", ["folder", "text"])
def test_what_is_no_database_is_an_error_of_the_database(file: Path, content: str) -> None:
    if content == "folder":
        file.mkdir()
    else:
        file.write_text("Dear diary, " * 100)
    with pytest.raises(DatabaseError, match=r"stenoflow\.db failed"):
        _count(open_database(f"sqlite:///{file}"))


def test_a_postgresql_that_refuses_or_stays_silent_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenoflow.storage.database.connection._CONNECT_TIMEOUT_S", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseError, match="timeout"):
            _count(open_database(f"postgresql://user:{SECRET}@127.0.0.1:{port}/stenoflow"))
    with pytest.raises(DatabaseError, match="refused"):
        _count(open_database(f"postgresql://user:{SECRET}@127.0.0.1:{port}/stenoflow"))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@127.0.0.1:{{port}}/stenoflow",
        f"postgresql+psycopg://127.0.0.1:{{port}}/stenoflow?user=user&password={SECRET}",
        f"postgresql://127.0.0.1:{{port}}/stenoflow?sslpassword={SECRET}&sslmode=disable",
    ],
)
def test_no_error_tells_a_password(url: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    database = open_database(url.format(port=port))
    assert f"127.0.0.1:{port}/stenoflow" in database.name
    with pytest.raises(DatabaseError) as caught:
        _count(database)
    assert SECRET not in "".join(
        [database.name, repr(caught.value), *traceback.format_exception(caught.value)]
    )


def test_an_error_of_the_server_names_it_without_the_password(postgres_url: str) -> None:
    url = make_url(postgres_url).set(username="stranger", password=SECRET)
    database = open_database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseError, match="stranger") as caught:
        _count(database)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://x/y",
        "postgres://x/y",
        "postgresql+nodriver://x/y",
        "postgresql+asyncpg://x/y",
        "postgresql+psycopg2://x/y",
        "sqlite+aiosqlite:///x.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:////x\0y",
        "postgresql://user@host:port/y",
        f"postgresql://user:{SECRET}/y",
    ],
)
def test_an_address_that_cannot_be_used_says_what_can(url: str) -> None:
    with pytest.raises(AddressError, match="give sqlite:///FILE") as caught:
        open_database(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+pysqlite"])
def test_the_folder_of_an_embedded_database_is_made(tmp_path: Path, driver: str) -> None:
    database = open_database(f"{driver}:///{tmp_path}/not yet/there/stenoflow.db")
    assert database.is_embedded
    assert database.name == f"sqlite:///{tmp_path}/not yet/there/stenoflow.db"
    upgrade(database)
    assert _count(database) == 0
    database.close()


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
def test_a_postgresql_is_reached_with_the_driver_named_or_not(postgres_url: str, driver: str) -> None:
    url = make_url(postgres_url).set(drivername=driver)
    database = open_database(url.render_as_string(hide_password=False))
    assert not database.is_embedded
    with database.read() as session:
        assert session.execute(ONE).scalar_one() == 1
    database.close()
