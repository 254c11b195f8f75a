"""Fill PostgreSQL with millions of segments, and measure the queries that commands and calls make.

Ten segments a job, an actual charge and an answer for each of them, an attempt for those of each tenth job; a
hundred jobs a second. What is printed are the median of five runs of a query, what it reads by, and how large
each table is with its indices.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, event

from stenoflow.storage.database.charges import Budgets
from stenoflow.storage.database.connection import Database, open_database, upgrade
from stenoflow.storage.database.costs import CostsBy
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.metrics import Metrics
from stenoflow.storage.database.reports import JobFilter, Reports
from stenoflow.storage.database.tables import Attempt, Base, Charge, Job, Recording, Result, Segment
from tests.servers.postgres import postgres_database, postgres_server

_JOB_SEGMENTS = 10
_RUNS = 5
_ID = "to_char({}, 'FM000000000000')"
_AT = "now() - interval '10 ms' * ({jobs} - j)"
# By job j, and by segment s of it.
_FILL = {
    Recording: """INSERT INTO recordings (id, source, name, sha256, bytes, duration_ms, created_at)
        SELECT {id}, 's3://meetings/inbox/' || j || '.m4a', 'meeting ' || j || '.m4a',
        md5(j::text) || md5(j::text), 50000000, 3600000, {at} FROM generate_series(1, {jobs}) j""",
    Job: """INSERT INTO jobs (id, recording_id, kind, settings_hash, settings, plan_hash, state, tag, planned,
        samples, origin_ms, lost_ms, crashes, progress, created_at, finished_at)
        SELECT {id}, {id}, 'transcribe', 'x', '{{"model": "whisper-1"}}', 'x',
        CASE WHEN j % 1000 = 0 THEN 'partial' ELSE 'complete' END, 'tag ' || j % 50, true,
        57600000, 0, 0, 0, 0, {at}, {at} FROM generate_series(1, {jobs}) j""",
    Segment: """INSERT INTO segments (job_id, index, start_sample, end_sample, activity, forced, speech,
        gain_db, work_key, state)
        SELECT {id}, s, s * 5760000, (s + 1) * 5760000, 'hearing', false, '[[0, 360000]]', 0,
        md5(j || '.' || s) || md5(s || '.' || j), 'done'
        FROM generate_series(1, {jobs}) j, generate_series(0, 9) s""",
    Attempt: """INSERT INTO attempts (id, job_id, segment_index, work_key, run_id, activity, provider, model,
        state, started_at, ended_at)
        SELECT {id} || s, {id}, s, md5(j || '.' || s) || md5(s || '.' || j), 'run' || j / 100,
        'hearing', 'openai', 'whisper-1', 'ok', {at}, {at}
        FROM generate_series(1, {jobs} / 10) j, generate_series(0, 9) s""",
    Charge: """INSERT INTO charges (attempt_id, job_id, tag, kind, activity, provider, model, quantity, unit,
        price, amount_micro, currency, created_at)
        SELECT {id} || s, {id}, 'tag ' || j % 50, 'actual', 'hearing', 'openai', 'whisper-1', 360000, 'ms',
        '0.006', 36000, 'USD', {at}
        FROM generate_series(1, {jobs}) j, generate_series(0, 9) s""",
    Result: """INSERT INTO results (work_key, attempt_id, answer, created_at)
        SELECT md5(j || '.' || s) || md5(s || '.' || j), {id} || s, 'x', {at}
        FROM generate_series(1, {jobs}) j, generate_series(0, 9) s""",
}


_SCAN = re.compile(r"((?:Parallel )?(?:Seq Scan|Index[A-Za-z ]* Scan|Bitmap Heap Scan).*?) +\(")


def _fill(database: Database, segments: int) -> None:
    jobs = segments // _JOB_SEGMENTS
    places = {"id": _ID.format("j"), "at": _AT.format(jobs=jobs), "jobs": jobs}
    for kind, statement in _FILL.items():
        table: Table = Base.metadata.tables[kind.__tablename__]
        begun = time.monotonic()
        with database.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
            for index in table.indexes:
                index.drop(connection)
            connection.exec_driver_sql(statement.format(**places).replace("%", "%%"))
            for index in table.indexes:
                index.create(connection)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"ANALYZE {table.name}")
        say(f"{table.name} filled in {time.monotonic() - begun:.0f} s")


@contextmanager
def _recorded() -> Iterator[list[tuple[str, Any]]]:
    """Record the statements that are executed."""
    statements: list[tuple[str, Any]] = []

    def record(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", record)
    yield statements
    event.remove(Engine, "before_cursor_execute", record)


def _measure(database: Database, name: str, ask: Callable[[], object]) -> None:
    took = []
    with _recorded() as statements:
        for _ in range(_RUNS):
            begun = time.monotonic()
            ask()
            took.append(time.monotonic() - begun)
            if took[0] > 60:
                break
    reads: dict[str, None] = {}
    with database.engine.connect() as connection:
        for statement, parameters in dict.fromkeys((text, repr(given)) for text, given in statements):
            given = next(each for text, each in statements if (text, repr(each)) == (statement, parameters))
            if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
                continue
            for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", given):
                if found := re.search(
                    r"((?:Parallel )?(?:Seq Scan|Index[A-Za-z ]* Scan|Bitmap Heap Scan).*?)  ?\(", line
                ):
                    reads[found[1]] = None
    say(f"{statistics.median(took) * 1000:10.1f} ms  {name}: {'; '.join(reads)}")


def _ask(database: Database, segments: int) -> None:
    reports = Reports(database)
    ledger = Ledger(database, budgets=Budgets(None, 10**12, {}))
    last = f"{segments // _JOB_SEGMENTS:012d}"
    now = datetime.now(UTC)
    queries: dict[str, Callable[[], object]] = {
        "progress of a job": lambda: reports.progress([last]),
        "what a job cost": lambda: reports.spending([last]),
        "jobs": lambda: reports.jobs(limit=51),
        "jobs --state partial": lambda: reports.jobs(JobFilter(state="partial"), limit=51),
        "jobs --tag": lambda: reports.jobs(JobFilter(tag="tag 7"), limit=51),
        "jobs --search": lambda: reports.jobs(JobFilter(search="meeting 4711"), limit=51),
        "a job by 8 characters": lambda: reports.jobs(JobFilter(last[:8]), limit=4),
        "requests of a job": lambda: reports.attempts(last),
        "charges of a job": lambda: reports.charges(last),
        "is it answered already": lambda: ledger.answered(["0" * 64]),
        "budgets of the month": ledger.budgets_of_the_month,
        "costs of the last minute, by tag": lambda: reports.costs(CostsBy.TAG, now - timedelta(minutes=1)),
        "costs of all time, by month": lambda: reports.costs(CostsBy.MONTH),
        "metrics": lambda: Metrics(database, Budgets(None, None, {})).snapshot(),
    }
    for name, ask in queries.items():
        _measure(database, name, ask)
    with database.engine.connect() as connection:
        for kind in _FILL:
            table = kind.__tablename__
            sizes = connection.exec_driver_sql(
                f"SELECT pg_table_size('{table}') >> 20, pg_indexes_size('{table}') >> 20"
            ).one()
            say(f"{table}: {sizes[0]:,} MB, indices {sizes[1]:,} MB")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segments", type=int, default=1_000_000)
    segments = parser.parse_args().segments
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server(Path(folder)) as server,
        postgres_database(server) as url,
    ):
        database = open_database(url)
        upgrade(database)
        _fill(database, segments)
        _ask(database, segments)
        database.close()


if __name__ == "__main__":
    main()
