"""Bringing the tables to the version that this program needs."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from stenoflow import migrations
from stenoflow.storage.database.connection import Database
from stenoflow.storage.errors import DatabaseError

_UPGRADE_LOCK = 7_364_566  # any number that no other program on the server uses


def upgrade(database: Database) -> str:
    """Run the migrations that are missing; several processes may do so at once.

    Returns:
        The revision that the tables are at now.
    """
    # Alembic loads slowly, and a database that is up to date needs none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    try:
        # SQLite's write lock, or PostgreSQL's advisory one, so that two starting processes take turns.
        with database.engine.begin() as connection:
            if not database.is_embedded:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise DatabaseError(f"the database {database.name} could not be upgraded: {error.orig}") from error
    return migrations.HEAD


def make_ready(database: Database) -> Database:
    """Upgrade the embedded database; of any other, check that it is at the right version.

    Raises:
        DatabaseError: the tables are of another version.
    """
    current = _current(database)
    if current == migrations.HEAD:
        return database
    if not database.is_embedded:
        raise DatabaseError(
            f"the tables in {database.name} are at revision {current or 'none'}, not {migrations.HEAD}",
            "run: stenoflow db upgrade",
        )
    upgrade(database)
    return database


def _current(database: Database) -> str | None:
    with database.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return None
        return session.scalar(select(column("version_num")).select_from(table("alembic_version")))
