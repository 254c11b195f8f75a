"""Costs under any heading: from the sums of days, which are kept with the ledger, or from its entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, String, case, cast, func, select
from sqlalchemy.orm import Session

from stenoflow.storage.database.rows import integer_sum
from stenoflow.storage.database.states import Activity, ChargeKind
from stenoflow.storage.database.tables import Charge, DayCosts, Job, Recording


@dataclass(frozen=True, slots=True)
class Spending:
    """Money of one kind of view; micro-units. ``unpriced`` counts charges whose price is unknown.

    A possible charge that a later reconcile took back is in neither.
    """

    actual_micro: int
    possible_micro: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class CostLine:
    """Costs under one heading.

    Attributes:
        heading: `NO_HEADING` for what has none: no tag, no inbox, or a recording that was forgotten.
        calls: requests that were or may have been charged.
        audio_ms: what was transcribed for actual charges.
        characters: what was spoken for actual charges.
        by_activity: what each activity was charged, in micro-units.
    """

    heading: str
    currency: str
    calls: int
    audio_ms: int
    spending: Spending
    characters: int = 0
    by_activity: Mapping[str, int] = field(default_factory=dict)


class CostsBy(StrEnum):
    """Headings that costs can be read by."""

    DAY = "day"
    MONTH = "month"
    MODEL = "model"
    RECORDING = "recording"
    TAG = "tag"
    INBOX = "inbox"
    ACTIVITY = "activity"


NO_HEADING = "-"
"""The heading of what has none."""
MS = "ms"
"""The unit of what is transcribed."""
CHARACTER = "character"
"""The unit of what is spoken."""
COUNTED = {ChargeKind.ACTUAL: 1, ChargeKind.POSSIBLE: 1, ChargeKind.RECONCILE: -1}
"""How the entries of a request count it; those of other kinds are no cost."""


def costs(session: Session, by: CostsBy, since: datetime | None, most: int | None = None) -> list[CostLine]:
    """Sum the charges under headings, in the headings' order.

    Args:
        session: of the database.
        by: the heading; days and months are those of UTC.
        since: leaves out what was charged before this time.
        most: of recordings, only so many, which cost most; None: all.
    """
    of_days = by is not CostsBy.RECORDING and (since is None or since.astimezone(UTC).time() == time())
    query = _of_days(by, since) if of_days else _of_charges(session, by, since)
    if by is CostsBy.RECORDING and most is not None:
        ids = session.scalars(_dearest(since, most)).all()
        known = Recording.id.in_([each for each in ids if each is not None])
        query = query.where(known | Recording.id.is_(None) if None in ids else known)
    lines = [_line(row) for row in session.execute(query)]
    # Sorted here: the databases differ in where they put what is null or not ASCII.
    return sorted(lines, key=lambda line: (line.heading, line.currency))


def uncertain(session: Session, since: datetime) -> int:
    """Count the requests since a day that may have been charged, and nobody knows."""
    query = select(integer_sum(DayCosts.uncertain)).where(DayCosts.day >= _day(since))
    return session.scalar(query) or 0


def spending_columns() -> tuple[ColumnElement[Any], ...]:
    """Return the columns of a `Spending` over entries of the ledger."""

    def total(*kinds: ChargeKind) -> ColumnElement[Any]:
        return integer_sum(case((Charge.kind.in_(kinds), Charge.amount_micro)))

    unpriced = integer_sum(case((Charge.amount_micro.is_(None), _counted())))
    return total(ChargeKind.ACTUAL), total(ChargeKind.POSSIBLE, ChargeKind.RECONCILE), unpriced


def _counted() -> ColumnElement[int]:
    return case(COUNTED, value=Charge.kind, else_=0)


def _of_days(by: CostsBy, since: datetime | None) -> Select[Any]:
    heading = _HEADINGS_OF_DAYS[by]
    spent = [
        integer_sum(case((DayCosts.activity == activity, DayCosts.actual_micro))) for activity in Activity
    ]
    sums = (DayCosts.requests, DayCosts.audio_ms, DayCosts.characters)
    money = (DayCosts.actual_micro, DayCosts.possible_micro, DayCosts.unpriced)
    query = select(
        heading, DayCosts.currency, *map(integer_sum, sums), *spent, *map(integer_sum, money)
    ).group_by(heading, DayCosts.currency)
    return query if since is None else query.where(DayCosts.day >= _day(since))


def _of_charges(session: Session, by: CostsBy, since: datetime | None) -> Select[Any]:
    heading = _HEADINGS[by](session.get_bind().dialect.name == "sqlite")
    actual = Charge.kind == ChargeKind.ACTUAL
    transcribed = actual & (Charge.unit == MS) & (Charge.activity == Activity.TRANSCRIPTION)
    spoken = actual & (Charge.unit == CHARACTER)
    spent = [
        integer_sum(case((actual & (Charge.activity == activity), Charge.amount_micro)))
        for activity in Activity
    ]
    query = (
        select(
            heading,
            Charge.currency,
            integer_sum(_counted()),
            integer_sum(case((transcribed, Charge.quantity))),
            integer_sum(case((spoken, Charge.quantity))),
            *spent,
            *spending_columns(),
        )
        .where(Charge.kind.in_(list(COUNTED)))
        .group_by(heading, Charge.currency)
    )
    if by is CostsBy.RECORDING:
        query = query.outerjoin(Job, Job.id == Charge.job_id)
        # Recordings of the same name are different meetings.
        query = query.outerjoin(Recording, Recording.id == Job.recording_id).group_by(Recording.id)
    return query if since is None else query.where(Charge.created_at >= since)


def _dearest(since: datetime | None, most: int) -> Select[Any]:
    """Select the recordings that cost most; None: those that were forgotten."""
    spent = func.sum(Charge.amount_micro)
    query = (
        select(Job.recording_id)
        .select_from(Charge)
        .outerjoin(Job, Job.id == Charge.job_id)
        .where(Charge.kind == ChargeKind.ACTUAL)
        .group_by(Job.recording_id)
        .order_by(func.coalesce(spent, 0).desc())
        .limit(most)
    )
    return query if since is None else query.where(Charge.created_at >= since)


def _line(row: Any) -> CostLine:
    heading, currency, calls, audio_ms, characters, *money = row
    spent, total = money[: len(Activity)], money[len(Activity) :]
    by_activity = {activity.value: micro for activity, micro in zip(Activity, spent, strict=True)}
    return CostLine(heading, currency, calls, audio_ms, Spending(*total), characters, by_activity)


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _date(letters: int) -> Callable[[bool], SQLColumnExpression[Any]]:
    """Take the first letters of the UTC date: 10 for the day, 7 for the month."""

    def heading(embedded: bool) -> ColumnElement[Any]:  # noqa: FBT001 - one of two dialects
        if embedded:
            return func.substr(cast(Charge.created_at, String), 1, letters)
        utc = func.timezone("UTC", Charge.created_at)
        return func.to_char(utc, "YYYY-MM-DD" if letters == 10 else "YYYY-MM")

    return heading


def _named(column: SQLColumnExpression[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.nullif(column, ""), NO_HEADING)


_HEADINGS: dict[CostsBy, Callable[[bool], SQLColumnExpression[Any]]] = {
    CostsBy.DAY: _date(10),
    CostsBy.MONTH: _date(7),
    CostsBy.MODEL: lambda _: Charge.provider + "/" + Charge.model,
    CostsBy.RECORDING: lambda _: func.coalesce(Recording.name, NO_HEADING),
    CostsBy.ACTIVITY: lambda _: Charge.activity,
    CostsBy.TAG: lambda _: _named(Charge.tag),
    CostsBy.INBOX: lambda _: _named(Charge.inbox),
}
_HEADINGS_OF_DAYS: dict[CostsBy, SQLColumnExpression[Any]] = {
    CostsBy.DAY: DayCosts.day,
    CostsBy.MONTH: func.substr(DayCosts.day, 1, 7),
    CostsBy.MODEL: DayCosts.provider + "/" + DayCosts.model,
    CostsBy.ACTIVITY: DayCosts.activity,
    CostsBy.TAG: _named(DayCosts.tag),
    CostsBy.INBOX: _named(DayCosts.inbox),
}
