"""Many processes on one job, some of which are killed: each segment is bought once."""

from __future__ import annotations

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
from tests.waiting import wait_for

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


# `python -m tests.storage.database.crowd` does it with 2,000 segments.
@pytest.mark.parametrize(
    ("workers", "segments", "kills"), [(3, 45, 1), pytest.param(8, 240, 2, marks=pytest.mark.slow)]
)
def test_no_segment_is_asked_for_twice_while_who_asks_is_alive(
    database: Database, tmp_path: Path, workers: int, segments: int, kills: int
) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    found = crowd(database, url, tmp_path, workers=workers, segments=segments, kills=kills)
    assert len(found.killed) == kills
    check(found, database, segments)


def test_an_answer_that_is_stored_while_another_run_looks_is_seen(postgres: Database) -> None:
    """PostgreSQL only: SQLite lets nobody look while another writes."""
    ledger, job_id = Ledger(postgres), open_job(Catalog(postgres))
    attempt = ledger.begin(request(job_id, run_id="first"))
    second: list[Future[str]] = []

    def look(_: Connection) -> None:
        """When all of the first one's answer is written, and nothing of it committed."""
        second.append(pool.submit(ledger.begin, request(job_id, run_id="second")))
        wait_for(lambda: second[0].done() or _somebody_waits(postgres))

    with ThreadPoolExecutor(1) as pool:
        event.listen(postgres.engine, "commit", look, once=True)
        ledger.succeed(attempt, "{}", bill())
        with pytest.raises(AnsweredError):
            second[0].result()
    assert [each.state for each in Reports(postgres).attempts(job_id)] == ["ok"]


def _somebody_waits(database: Database) -> bool:
    with database.read() as session:
        return bool(session.scalars(_WAITING).one())
