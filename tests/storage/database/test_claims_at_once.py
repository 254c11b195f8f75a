"""Eight processes on one job, two of which are killed: each segment is bought once."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.errors import AnsweredError
from tests.storage.database.crowd import check, crowd
from tests.storage.database.rows import bill, open_job, request

# `python -m tests.storage.database.crowd` does it with 2,000.
_SEGMENTS = 240
_DEADLINE_S = 30
_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def test_no_segment_is_asked_for_twice_while_who_asks_is_alive(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    found = crowd(database, url, tmp_path, workers=8, segments=_SEGMENTS, kills=2)
    assert len(found.killed) == 2
    check(found, database, _SEGMENTS)


def test_an_answer_that_is_stored_while_another_run_looks_is_seen(postgres: Database) -> None:
    """PostgreSQL only: SQLite lets nobody look while another writes."""
    ledger, job_id = Ledger(postgres), open_job(Catalog(postgres))
    attempt = ledger.begin(request(job_id, run_id="first"))
    second: list[Future[str]] = []

    def look(_: Connection) -> None:
        """When all of the first one's answer is written, and nothing of it committed."""
        second.append(pool.submit(ledger.begin, request(job_id, run_id="second")))
        _wait_until_somebody_waits(postgres)

    with ThreadPoolExecutor(1) as pool:
        event.listen(postgres.engine, "commit", look, once=True)
        ledger.succeed(attempt, "{}", bill())
        with pytest.raises(AnsweredError):
            second[0].result(_DEADLINE_S)
    assert [each.state for each in Reports(postgres).attempts(job_id)] == ["ok"]


def _wait_until_somebody_waits(database: Database) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    with database.read() as session:
        while not session.scalars(_WAITING).one():
            assert time.monotonic() < deadline, "nobody waits for a lock"
            time.sleep(0.01)
