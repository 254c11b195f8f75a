"""Fill both databases with 100,000 jobs and 20,000 hours of transcripts, and measure the desk's pages.

Each recording has 12 minutes, and 24 passages of 75 words, made by SQL of 2,000 short texts in which words
are as frequent as in speech. What is printed is the median of a whole page as a browser gets it, and its
ratio to a bare query: 51 jobs with their recordings by an index, or 51 passages by the index of texts. On a
busy machine, read the processor's time beside it: of the desk, and with SQLite of the database, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx

from stenoflow.flows.dashboard_app import Login, LoginCheck
from stenoflow.flows.desk.app import create_desk
from stenoflow.flows.desk.prefect_api import PrefectApi
from stenoflow.storage.database.connection import Database, open_database, upgrade
from stenoflow.storage.database.tables import Base
from stenoflow.tasks.settings import load_settings
from tests.scale.__main__ import say
from tests.servers.postgres import postgres_database, postgres_server

_LOGIN = Login("stenoflow:secret")
_RUNS = 9
_TEXTS, _WORDS, _HALF = 2_000, 30_000, 37
_RARE, _MIDDLE, _COMMON = "w29000", "w300", "w1"
_PASSAGES = 24
# What differs between the two.
_DIALECT = {
    "sqlite": {
        "id": "printf('%012d', {})",
        "at": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || (({jobs} - j) * 60) || ' seconds')",
        "json": "{}",
        "terms": "a.text || ' ' || b.text",
    },
    "postgresql": {
        "id": "lpad(({})::text, 12, '0')",
        "at": "now() - interval '60 s' * ({jobs} - j)",
        "json": "({})::json",
        "terms": "a.terms || b.terms",
    },
}
_NUMBERS = "WITH RECURSIVE n(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM n WHERE j < {jobs})"
_FILL = {
    "recordings": """INSERT INTO recordings (id, source, name, sha256, bytes, duration_ms, created_at)
        {numbers} SELECT {id}, 'file:///srv/inbox' || (j % 5) || '/' || j || '.m4a',
        'meeting ' || j || '.m4a', {id}, 5000000, 720000, {at} FROM n""",
    "jobs": """INSERT INTO jobs (id, recording_id, kind, settings_hash, settings, plan_hash, state, tag,
        inbox, planned, samples, origin_ms, lost_ms, crashes, progress, created_at, finished_at)
        {numbers} SELECT {id}, {id}, 'transcribe', 'x', {settings}, 'x',
        CASE WHEN j % 1000 = 0 THEN 'failed' WHEN j % 500 = 0 THEN 'partial' ELSE 'complete' END,
        'tag ' || (j % 50), 'inbox' || (j % 5), {true}, 11520000, 0, 0, 0, 0, {at}, {at} FROM n""",
    "transcript_cards": """INSERT INTO transcript_cards (job_id, language, words, speakers, missing_ms,
        suspects, published_at) {numbers} SELECT {id}, CASE WHEN j % 7 = 0 THEN 'de' ELSE 'en' END, 1800,
        {speakers}, 0, CASE WHEN j % 2000 = 0 THEN 1 ELSE 0 END, {at} FROM n WHERE j % 1000 <> 0""",
    "charges": """INSERT INTO charges (attempt_id, job_id, tag, inbox, kind, activity, provider, model,
        quantity, unit, price, amount_micro, currency, created_at)
        {numbers}, k(number, kind, sign) AS (SELECT 1, 'reserve', 1 UNION ALL SELECT 2, 'release', -1
        UNION ALL SELECT 3, 'actual', 1)
        SELECT {id}, {id}, 'tag ' || (j % 50), 'inbox' || (j % 5), kind, 'hearing', 'openai', 'whisper-1',
        sign * 720000, 'ms', '0.006', sign * 72000, 'USD', {at} FROM n CROSS JOIN k ORDER BY j, number""",
    "day_costs": """INSERT INTO day_costs (day, tag, inbox, provider, model, activity, currency, requests,
        uncertain, unpriced, audio_ms, characters, actual_micro, possible_micro)
        SELECT substr(CAST(created_at AS text), 1, 10), tag, inbox, provider, model, activity, currency,
        count(*), 0, 0, sum(quantity), 0, sum(amount_micro), 0
        FROM charges WHERE kind = 'actual' GROUP BY 1, 2, 3, 4, 5, 6, 7""",
    "passages": """INSERT INTO passages (job_id, start_ms, speaker, text, terms)
        {numbers}, p(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM p WHERE k < {passages} - 1)
        SELECT {id}, k * 30000, CASE WHEN k % 2 = 0 THEN 'Anna ' || (j % 300) ELSE 'B' END,
        a.text || ' ' || b.text, {terms} FROM n CROSS JOIN p
        JOIN scale_texts a ON a.id = (j * 24 + k) % {texts}
        JOIN scale_texts b ON b.id = (j * 7919 + k * 104729) % {texts}
        WHERE j % 1000 <> 0 ORDER BY j, k""",
}
_PAGES = {
    "list": "/",
    "list, the 500th page": "/?" + urlencode({"after": "{middle}"}),
    "by state": "/?state=failed",
    "by tag": "/?tag=tag+7",
    "by language": "/?language=de",
    "by speaker": "/?speaker=Anna+299",
    "by name": "/?name=meeting+4711",
    "by a name that nobody has": "/?name=nobody",
    "by time": "/?since=2020-01-01&until=2090-01-01",
    "by model": "/?model=whisper-1",
    "by inbox": "/?inbox=inbox3",
    "by an inbox in which nothing lies": "/?inbox=empty",
    "what needs a person": "/?needs=1",
    "search, a rare word": f"/desk/search?q={_RARE}",
    "search, a word": f"/desk/search?q={_MIDDLE}",
    "search, two words": f"/desk/search?q={_MIDDLE}+{_COMMON}",
    "search, a common word": f"/desk/search?q={_COMMON}",
    "search, a phrase": f'/desk/search?q="{_COMMON}+w2"',
    "search, nothing": "/desk/search?q=unheardof",
    "health": "/desk/health",
    **{f"costs by {by}": f"/desk/costs?by={by}" for by in ("tag", "inbox", "model", "month", "day")},
    "costs by recording": "/desk/costs?by=recording",
    "of 20 minutes or more": "/?minutes=20",
    "of 1 USD or more": "/?cost=1",
    "of 1 cent or more": "/?cost=0.01",
    "costs by tag, as CSV": "/desk/costs.csv?by=tag",
}
_INBOXES = [{"name": name, "address": f"/srv/{name}"} for name in ("inbox3", "empty")]


def _texts() -> list[str]:
    """Return short texts whose words are as frequent as Zipf says."""
    chance = random.Random(20)
    words = [f"w{number}" for number in range(1, _WORDS + 1)]
    weights = [1 / number for number in range(1, _WORDS + 1)]
    drawn = chance.choices(words, weights, k=_TEXTS * _HALF)
    return [" ".join(drawn[first : first + _HALF]) for first in range(0, len(drawn), _HALF)]


def fill(database: Database, jobs: int, passages: int) -> None:
    """Fill a database by SQL."""
    dialect = database.engine.dialect.name
    pieces = _DIALECT[dialect]
    places = {
        "numbers": _NUMBERS.format(jobs=jobs),
        "id": pieces["id"].format("j"),
        "at": pieces["at"].format(jobs=jobs),
        "settings": pieces["json"].format("""'{"model": "whisper-1"}'"""),
        "speakers": pieces["json"].format("""'["Anna ' || (j % 300) || '", "B"]'"""),
        "terms": pieces["terms"],
        "true": "1" if dialect == "sqlite" else "true",
        "passages": passages,
        "texts": _TEXTS,
    }
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE scale_texts (id INTEGER PRIMARY KEY, text TEXT)")
        mark = "?" if dialect == "sqlite" else "%s"
        put = f"INSERT INTO scale_texts VALUES ({mark}, {mark})"  # noqa: S608 - our own words
        connection.exec_driver_sql(put, list(enumerate(_texts())))
        if dialect != "sqlite":
            # Put together, the places of the second's terms come behind those of the first's.
            connection.exec_driver_sql("ALTER TABLE scale_texts ADD terms tsvector")
            connection.exec_driver_sql("UPDATE scale_texts SET terms = to_tsvector('simple', text)")
    for table, statement in _FILL.items():
        begun = time.monotonic()
        with database.engine.begin() as connection:
            if dialect != "sqlite":
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
                connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
                indices = Base.metadata.tables[table].indexes
                for index in indices:
                    index.drop(connection, checkfirst=True)
                connection.exec_driver_sql("DROP INDEX IF EXISTS ix_passages_terms")
            filled = statement.format(**places)
            connection.exec_driver_sql(filled.replace("%", "%%") if dialect != "sqlite" else filled)
            if dialect != "sqlite":
                for index in indices:
                    index.create(connection)
                if table == "passages":
                    connection.exec_driver_sql("CREATE INDEX ix_passages_terms ON passages USING gin (terms)")
        say(f"{table} filled in {time.monotonic() - begun:.0f} s")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


async def _measure(jobs: int, database: Database) -> None:
    desk = LoginCheck(create_desk(load_settings, PrefectApi(), _LOGIN.derived), _LOGIN)
    middle = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() - jobs * 15))}+00:00 x"
    bare = {kind: _bare(database, statement) for kind, statement in _bare_queries(database).items()}
    for kind, least in bare.items():
        say(f"{least * 1000:10.1f} ms                       a bare query: {kind}")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(desk),
        base_url="http://127.0.0.1",
        auth=("stenoflow", "secret"),
        timeout=600,
    ) as http:
        (await http.get("/")).raise_for_status()
        for name, path in _PAGES.items():
            took, worked = [], time.process_time()
            for _ in range(_RUNS):
                begun = time.monotonic()
                reply = await http.get(path.replace("%7Bmiddle%7D", httpx.QueryParams({"a": middle})["a"]))
                took.append(time.monotonic() - begun)
                reply.raise_for_status()
            median, cpu = statistics.median(took), (time.process_time() - worked) / _RUNS
            base = bare["passages" if name.startswith("search") else "jobs"]
            shown = reply.text.count('<td data-label="State"') or reply.text.count('<li><a href="/desk/jobs/')
            say(f"{median * 1000:10.1f} ms {median / base:8.1f} {cpu * 1000:7.1f} ms CPU  {name} ({shown})")


def _bare_queries(database: Database) -> dict[str, str]:
    is_found = (
        f"p.id IN (SELECT rowid FROM passages_fts WHERE passages_fts MATCH '{_MIDDLE}')"  # noqa: S608
        if database.is_embedded
        else f"p.terms @@ '{_MIDDLE}'::tsquery"
    )
    listed = """SELECT * FROM jobs j JOIN recordings r ON r.id = j.recording_id
        WHERE j.kind = 'transcribe' ORDER BY j.created_at DESC, j.id DESC LIMIT 51"""
    found = f"""SELECT p.id, p.text, r.name FROM passages p JOIN jobs j ON j.id = p.job_id
        JOIN recordings r ON r.id = j.recording_id WHERE {is_found} ORDER BY p.id DESC LIMIT 51"""  # noqa: S608
    return {"jobs": listed, "passages": found}


def _bare(database: Database, statement: str) -> float:
    took = []
    with database.engine.connect() as connection:
        for _ in range(_RUNS):
            begun = time.monotonic()
            connection.exec_driver_sql(statement).all()
            took.append(time.monotonic() - begun)
    return statistics.median(took)


@contextmanager
def _opened(kind: str, folder: Path, kept: Path | None) -> Iterator[tuple[str, bool]]:
    """Give the address of a database, and whether it is to be filled."""
    if kind == "sqlite":
        file = (kept or folder) / "stenoflow.db"
        is_new = not file.exists()
        yield f"sqlite:///{file}", is_new
        return
    with postgres_server(folder / "postgres") as server, postgres_database(server) as url:
        yield url, True


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--passages", type=int, default=_PASSAGES, help="Of each recording.")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--keep", type=Path, help="A folder for SQLite's file, to be measured again.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STENOFLOW_HOME"] = str(folder / "home")
        os.environ["STENOFLOW_INBOXES"] = json.dumps(_INBOXES)
        with _opened(given.database, folder, given.keep) as (url, is_new):
            os.environ["STENOFLOW_DATABASE_URL"] = url
            database = open_database(url)
            if is_new:
                upgrade(database)
                fill(database, given.jobs, given.passages)
            asyncio.run(_measure(given.jobs, database))
            database.close()


if __name__ == "__main__":
    main()
