"""Alembic's environment: runs migrations on a connection handed in, or on the settings' database."""

from __future__ import annotations

import os
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from stenoflow.storage.database.connection import open_database
from stenoflow.storage.database.tables import Base, UtcDateTime


def _render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write our type as the plain one that it is in the database, so that migrations stand alone."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def _is_ours(name: str | None, _kind: str, _parents: object) -> bool:
    """Leave out the index of texts, which stands in one of the two databases only, not in our tables."""
    return name is None or not name.startswith(("passages_fts", "ix_passages_terms"))


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=_render,
        include_name=_is_ours,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # A migration must not queue behind a long read and block every write behind itself.
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        context.run_migrations()


def _run() -> None:
    handed_in = context.config.attributes.get("connection")
    if handed_in is not None:
        _migrate(handed_in)
        return
    database = open_database(os.environ["STENOFLOW_DATABASE_URL"])
    with database.engine.begin() as connection:
        _migrate(connection)
    database.close()


_run()
