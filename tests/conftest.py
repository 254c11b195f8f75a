"""What tests of several packages share: a home of their own, and real servers."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stenoflow.storage.database.connection import Database, open_database, upgrade
from tests.servers.postgres import postgres_database, postgres_server
from tests.servers.postgres_outage import Outage, mortal_postgres_server
from tests.servers.s3 import bucket, queue, s3_client, s3_endpoint, seaweedfs_client, sqs_endpoint

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make test` takes fewer examples, `make test-slow` as many as Hypothesis means to.
settings.register_profile("quick", settings.get_profile("thorough"), max_examples=20)
settings.load_profile("thorough")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background of a script, the commands that tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["bucket", "queue", "s3_client", "s3_endpoint", "seaweedfs_client", "sqs_endpoint"]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what would change how tests run."""
    for name in os.environ:
        if name.startswith(("STENOFLOW_", "OPENAI_", "OTEL_")):
            monkeypatch.delenv(name)
    # A test before this one may have used Prefect in this process, which sets it for what is started then.
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a running PostgreSQL server."""
    # Not in pytest's folder: as root, another session closes that to the server's own user.
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        postgres_server(Path(folder)) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def mortal_postgres() -> Iterator[Outage]:
    """A PostgreSQL server that can go away and come back; who breaks it mends it."""
    with mortal_postgres_server() as outage:
        yield outage


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/stenoflow.db"
        return
    with postgres_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_tables_url(postgres_url: str) -> Iterator[str]:
    """The address of a database with all tables and nothing in them, to be copied."""
    with postgres_database(postgres_url) as url:
        _with_tables(url)
        yield url


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and nothing in them: a copy spares each test the migrations."""
    path = tmp_path_factory.mktemp("database") / "stenoflow.db"
    _with_tables(f"sqlite:///{path}")
    return path


def _with_tables(url: str) -> None:
    database = open_database(url)
    upgrade(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with its tables, of each kind in turn."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "stenoflow.db")
            url = f"sqlite:///{tmp_path}/stenoflow.db"
        else:
            server, like = map(request.getfixturevalue, ("postgres_url", "postgres_tables_url"))
            url = stack.enter_context(postgres_database(server, like))
        database = open_database(url)
        stack.callback(database.close)
        yield database
