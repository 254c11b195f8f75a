"""A database that goes away and comes back, or is held by another: what was to be stored is, once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database, open_database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reconnect import OutageError, retry_outage
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.tables import ProgramRun
from stenoflow.storage.errors import DatabaseError, StenoflowError
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from tests.servers.postgres_outage import Outage
from tests.storage.database.breaking import Moment, breaking
from tests.storage.database.rows import RESERVE, bill, cache_key, open_job, request
from tests.waiting import wait_for

LOST = StenoflowError("the connection broke")
both_moments = pytest.mark.parametrize("moment", Moment)


@pytest.fixture
def outage(mortal_postgres: Outage) -> Outage:
    """A server without rows, which runs."""
    mortal_postgres.end()
    mortal_postgres.empty()
    return mortal_postgres


@pytest.fixture
def postgres(outage: Outage) -> Iterator[Database]:
    """An empty database on that server."""
    database = open_database(outage.url)
    yield database
    outage.end()
    database.close()


def _kinds(reports: Reports, job_id: str) -> list[str]:
    return [charge.kind for charge in reports.charges(job_id)]


@both_moments
@pytest.mark.parametrize(
    ("end", "kinds"),
    [
        (lambda ledger, attempt: ledger.succeed(attempt, "{}", bill()), ["reserve", "release", "actual"]),
        (
            lambda ledger, attempt: ledger.store_suspect(attempt, "{}", bill()),
            ["reserve", "release", "actual"],
        ),
        (lambda ledger, attempt: ledger.mark_unknown(attempt, LOST), ["reserve", "release", "possible"]),
        (lambda ledger, attempt: ledger.refuse(attempt, LOST), ["reserve", "release"]),
    ],
    ids=["succeed", "doubt", "lose", "refuse"],
)
def test_the_end_of_a_request_is_stored_once(
    postgres: Database, moment: Moment, end: Callable[[Ledger, str], None], kinds: list[str]
) -> None:
    job_id = open_job(Catalog(postgres))
    ledger, reports = Ledger(postgres), Reports(postgres)
    attempt = ledger.begin(request(job_id))
    with breaking(postgres.engine, moment) as broken:
        retry_outage(end, ledger, attempt)
    assert broken == [1]
    assert _kinds(reports, job_id) == kinds


@both_moments
def test_a_request_that_was_stored_unheard_may_have_been_charged(postgres: Database, moment: Moment) -> None:
    job_id = open_job(Catalog(postgres))
    ledger, reports = Ledger(postgres), Reports(postgres)
    with breaking(postgres.engine, moment) as broken:
        attempt = retry_outage(ledger.begin, request(job_id))
    ledger.succeed(attempt, "{}", bill())
    assert broken == [1]
    stored = {each.id: each.state for each in reports.attempts(job_id)}
    assert stored.pop(attempt) == "ok"
    # The first was never sent, but who finds it in the ledger cannot know that.
    assert list(stored.values()) == (["unknown"] if moment is Moment.BEHIND_COMMIT else [])
    spent = reports.spending([job_id])
    assert (spent.actual_micro, spent.possible_micro) == (RESERVE, RESERVE * len(stored))
    assert ledger.answered([cache_key(0)]) == {cache_key(0)}


@both_moments
def test_what_breaks_off_each_time_is_an_error(postgres: Database, moment: Moment) -> None:
    job_id = open_job(Catalog(postgres))
    ledger = Ledger(postgres)
    attempt = ledger.begin(request(job_id))
    with (
        breaking(postgres.engine, moment, times=100) as broken,
        pytest.raises(OutageError, match="terminating"),
    ):
        retry_outage(ledger.mark_unknown, attempt, LOST)
    assert broken == [1, 2, 3, 4, 5]


def test_other_errors_of_the_database_are_not_tried_again(postgres: Database) -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        with postgres.read() as session:
            session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DatabaseError):
        retry_outage(fail)
    assert tries == [1]


def test_a_server_that_was_there_is_waited_for(outage: Outage, postgres: Database) -> None:
    job_id = open_job(Catalog(postgres))
    outage.begin()
    with ThreadPoolExecutor(4) as pool:
        begun = [pool.submit(retry_outage, Ledger(postgres).begin, request(job_id, n)) for n in range(3)]
        with pytest.raises(TimeoutError):
            begun[0].result(1.0)
        outage.end()
        assert len({each.result() for each in begun}) == 3
    assert _kinds(Reports(postgres), job_id) == ["reserve"] * 3


def test_a_server_that_stays_away_is_waited_for_once_by_all(
    outage: Outage, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenoflow.storage.database.reconnect.TIMEOUT_S", 1.5)
    connects: list[int] = []
    job_id = open_job(Catalog(postgres))
    dialect = postgres.engine.dialect
    connect = dialect.connect

    def counting(*args: Any, **options: Any) -> Any:
        connects.append(1)
        return connect(*args, **options)

    monkeypatch.setattr(dialect, "connect", counting)
    outage.begin()
    with pytest.raises(DatabaseError, match="connection"):
        Catalog(postgres).job(job_id)
    assert len(connects) > 2
    connects.clear()
    with pytest.raises(DatabaseError, match="connection"):
        Catalog(postgres).job(job_id)
    assert len(connects) == 1, "the patience had run out"
    outage.end()
    assert Catalog(postgres).job(job_id).id == job_id


def test_a_server_that_was_never_there_is_an_error_at_once(
    outage: Outage, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert postgres.name
    outage.begin()
    monkeypatch.setattr("time.sleep", None)  # any wait fails
    with pytest.raises(DatabaseError, match="connection"):
        Catalog(open_database(outage.url)).job("any")
    monkeypatch.undo()


def test_a_run_that_something_else_started_waits_for_a_server_that_restarts(
    outage: Outage, postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = open_job(Catalog(postgres))
    monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("STENOFLOW_DATABASE_URL", outage.url)

    def read() -> str:
        with open_context(load_settings(), "a flow run") as context:
            return context.catalog.job(job_id).id

    outage.begin()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        time.sleep(1)
        assert not reading.done()
        outage.end()
        assert reading.result() == job_id


def test_silence_while_the_server_was_away_makes_nobody_dead(
    outage: Outage, postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = Leases(postgres, tmp_path), Leases(postgres)
    outage.begin()
    outage.end()

    def is_alive(leases: Leases, run_id: str) -> bool:
        with postgres.read() as session:
            return leases.is_alive(session, run_id)

    with here.held("run"):
        with postgres.write() as session:
            session.execute(update(ProgramRun).values(alive_until=datetime.now(UTC) - timedelta(seconds=30)))
        assert is_alive(here, "run")
        assert is_alive(elsewhere, "run")
        monkeypatch.setattr("stenoflow.storage.database.leases.LEASE", timedelta())
        assert not is_alive(elsewhere, "run"), "it had as long as a lease to say so"
        monkeypatch.undo()
        here.renew("run")
        outage.begin()
        monkeypatch.setattr("stenoflow.storage.database.reconnect.TIMEOUT_S", 0.0)
    # It could not say that it ended; that it let go of its lock is seen on its machine.
    outage.end()
    assert is_alive(elsewhere, "run")
    assert not is_alive(here, "run")


def test_a_run_goes_on_to_say_that_it_is_alive_after_sqlite_was_held_by_another(
    embedded: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenoflow.storage.database.leases._BEAT_S", 0.05)

    def alive_until() -> datetime:
        with embedded.read() as session:
            return session.get_one(ProgramRun, "run").alive_until

    def wait_for_a_beat(before: datetime) -> datetime:
        wait_for(lambda: alive_until() > before)
        return alive_until()

    with Leases(embedded).held("run"):
        wait_for_a_beat(alive_until())
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            silent = alive_until()
            time.sleep(1.0)
            assert alive_until() == silent, "nobody else can write"
            other.execute("ROLLBACK")
        wait_for_a_beat(wait_for_a_beat(silent))
