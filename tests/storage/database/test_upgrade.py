from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from stenoflow import migrations
from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.charges import totals
from stenoflow.storage.database.connection import Database, make_ready, open_database, upgrade
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.tables import Base
from stenoflow.storage.errors import DatabaseError
from tests.storage.database.rows import Hands, bill, open_job, request


def config_of(connection: Connection | None = None) -> Config:
    """Return Alembic's settings, for a connection where it is to change something."""
    config = Config()
    config.attributes["connection"] = connection
    config.set_main_option("script_location", next(iter(migrations.__path__)))
    return config


def _tables(url: str) -> set[str]:
    database = open_database(url)
    with database.read() as session:
        names = set(inspect(session.connection()).get_table_names())
    database.close()
    return names


def test_every_migration_goes_up_and_down_and_leaves_what_the_tables_say(database_url: str) -> None:
    database = open_database(database_url)
    config = config_of()
    for step in ("head", "-1", "head"):
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            if step == "-1":
                command.downgrade(config, "base")
            else:
                command.upgrade(config, step)
        expected = set() if step == "-1" else set(Base.metadata.tables)
        # SQLite's index of texts is a table, and lies in tables of its own.
        found = {name for name in _tables(database_url) if not name.startswith("passages_fts")}
        assert found - {"alembic_version"} == expected
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.check(config)
    database.close()


def _upgrade(url: str) -> None:
    database = open_database(url)
    upgrade(database)
    database.close()


@pytest.mark.slow
def test_processes_that_start_together_take_turns(database_url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(_upgrade, [database_url] * 3)) == [None] * 3
    assert set(Base.metadata.tables) <= _tables(database_url)


def test_the_embedded_database_upgrades_itself_and_another_says_how(database_url: str) -> None:
    database = open_database(database_url)
    try:
        if database.is_embedded:
            make_ready(database)
        else:
            with pytest.raises(DatabaseError, match="stenoflow db upgrade"):
                make_ready(database)
            upgrade(database)
        assert make_ready(database) is database
    finally:
        database.close()


def test_the_head_that_the_program_names_is_the_last_migration() -> None:
    assert ScriptDirectory.from_config(config_of()).get_heads() == [migrations.HEAD]


def test_what_was_charged_before_there_were_totals_is_totalled(database: Database, catalog: Catalog) -> None:
    ledger = Ledger(database, Hands())
    for number, tag in enumerate(["board", None, ""]):
        job_id = open_job(catalog, source=f"file:///{number}.mp3", tag=tag)
        ledger.succeed(ledger.begin(request(job_id, key=str(number))), "{}", bill(10))
    ledger.begin(request(job_id, 1, key="unpriced", costs=bill(None)))
    with database.read() as session:
        kept = {key: total for key, total in totals(session).items() if not key[0].period.startswith("run ")}
    config = config_of()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
        command.upgrade(config, "head")
    with database.read() as session:
        assert totals(session) == kept
    assert set(kept.values()) == {30, 10}
