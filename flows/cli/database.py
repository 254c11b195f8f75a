"""`stenoflow db upgrade`: the migrations."""

from __future__ import annotations

from stenoflow.flows.cli.console import result
from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.upgrade import upgrade as run_migrations
from stenoflow.tasks.settings import load_settings


def upgrade() -> None:
    """Bring the database's tables up to date (the embedded SQLite does so by itself).

    Example: [bold]stenoflow db upgrade[/], with STENOFLOW_DATABASE_URL=postgresql+psycopg://me@db/steno
    """
    database = open_database(load_settings().database_url)
    try:
        revision = run_migrations(database)
    finally:
        database.close()
    result(f"{database.name} is at revision {revision}")
