"""Rows as both databases take them: inserts that say ON CONFLICT, storable text, and the time in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, SQLColumnExpression, cast, func, inspect
from sqlalchemy.orm import Session

from stenoflow.storage.database.tables import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def insert_missing(session: Session, row: Base) -> None:
    """Insert a row, unless one is there under its primary key.

    Looking first and adding then is not enough: PostgreSQL lets two transactions look at once. This
    waits for the other's end. The row handed in stays as it is; the stored one is to be read.
    """
    mapper = inspect(type(row))
    given = {name: value for name, value in vars(row).items() if name in mapper.column_attrs}
    values = {
        mapper.column_attrs[name].columns[0].name: storable(value) if isinstance(value, str) else value
        for name, value in given.items()
    }
    statement = insert_into(session, type(row)).values(values)
    # Under any unique key: ids are made of the others, and PostgreSQL may trip over those first.
    session.execute(statement.on_conflict_do_nothing())


def insert_into(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say ON CONFLICT, which is written the same way in both dialects."""
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - a tenth of a second, for who writes

    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement: sqlite.Insert | postgresql.Insert = dialect.insert(table)
    return statement


def storable(text: str) -> str:
    """Replace what no database takes as text: NUL (PostgreSQL) and halves of surrogate pairs (both).

    They come from other people's servers and file names; an answer that was paid for, or the reason
    why one is lacking, must not be lost over them.
    """
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def integer_sum(column: SQLColumnExpression[Any]) -> ColumnElement[int]:
    """Sum to an integer, 0 of nothing; PostgreSQL's own sums are decimals."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
