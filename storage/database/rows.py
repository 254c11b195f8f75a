"""Rows as both databases take them: inserts that say ON CONFLICT, storable text, and the time in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, SQLColumnExpression, cast, func, inspect
from sqlalchemy.orm import Session

from stenoflow.storage.database.tables import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

Clock = Callable[[], datetime]

LEAST_OF_ID = 4
"""Characters with which the beginning of an id is no mistake."""


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def insert_missing(session: Session, row: Base, *others: Base) -> None:
    """Insert a row, and others of its table with the same columns, unless one is there under its primary key.

    Looking first and adding then is not enough: PostgreSQL lets two transactions look at once. This
    waits for the other's end. The rows handed in stay as they are; the stored ones are to be read.
    """
    values = [_values(each) for each in (row, *others)]
    # One as it is: for a list, the driver takes a way of its own.
    given = values if others else values[0]
    session.execute(_insert_missing(session.get_bind().dialect.name, type(row)), given)


def _values(row: Base) -> dict[str, Any]:
    columns = inspect(type(row)).column_attrs
    return {
        columns[name].columns[0].name: storable(value) if isinstance(value, str) else value
        for name, value in vars(row).items()
        if name in columns
    }


@cache
def _insert_missing(dialect: str, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    # Under any unique key: ids are made of the others, and PostgreSQL may trip over those first.
    return insert_into(dialect, table).on_conflict_do_nothing()


def insert_into(dialect: str, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say ON CONFLICT, which is written the same way in both dialects."""
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - a tenth of a second, for who writes

    # Of the table, not of the class: what the ORM would do besides takes longer than the statement.
    statement: sqlite.Insert | postgresql.Insert = (sqlite if dialect == "sqlite" else postgresql).insert(
        table.__table__
    )
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
