from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete

from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.connection import Database, open_database, upgrade
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.database.reports import Reports
from stenoflow.storage.database.tables import Base
from tests.servers.postgres import postgres_database
from tests.storage.database.rows import Hands


@contextmanager
def _with_tables(url: str) -> Iterator[Database]:
    database = open_database(url)
    upgrade(database)
    yield database
    database.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind, to be emptied and used again: making one takes longer than most tests."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/stenoflow.db"
        else:
            url = stack.enter_context(postgres_database(request.getfixturevalue("postgres_url")))
        yield stack.enter_context(_with_tables(url))


@pytest.fixture
def database(tables: Database) -> Database:
    """An empty database with its tables, of each kind in turn."""
    with tables.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))
    return tables


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where `embedded` lies."""
    return tmp_path / "stenoflow.db"


@pytest.fixture
def embedded(file: Path) -> Iterator[Database]:
    """A SQLite of the test's own."""
    with _with_tables(f"sqlite:///{file}") as database:
        yield database


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    """A PostgreSQL of the test's own."""
    with postgres_database(postgres_url) as url, _with_tables(url) as database:
        yield database


@pytest.fixture
def hands() -> Hands:
    """The clock of the catalog and the ledger."""
    return Hands()


@pytest.fixture
def catalog(database: Database, hands: Hands) -> Catalog:
    return Catalog(database, hands)


@pytest.fixture
def ledger(database: Database, hands: Hands) -> Ledger:
    return Ledger(database, hands)


@pytest.fixture
def reports(database: Database) -> Reports:
    return Reports(database)
