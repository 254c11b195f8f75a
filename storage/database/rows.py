"""Writing rows so that both databases take them, whoever else writes at the same moment."""

from __future__ import annotations

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage.database.tables import Base


def insert_missing(session: Session, row: Base) -> None:
    """Insert a row, unless one is there under its primary key.

    Looking first and adding then is not enough: PostgreSQL lets two transactions look at once. This
    waits for the other's end. The row handed in stays as it is; the stored one is to be read.
    """
    mapper = inspect(type(row))
    given = {name: value for name, value in vars(row).items() if name in mapper.column_attrs}
    values = {name: storable(value) if isinstance(value, str) else value for name, value in given.items()}
    # One class for both: the clause is written the same way in both dialects.
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(type(row)).values(values)
    # Under any unique key: ids are made of the others, and PostgreSQL may trip over those first.
    session.execute(statement.on_conflict_do_nothing())


def storable(text: str) -> str:
    """Replace what no database takes as text: NUL (PostgreSQL) and halves of surrogate pairs (both).

    They come from other people's servers and file names; an answer that was paid for, or the reason
    why one is lacking, must not be lost over them.
    """
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")
