"""The entries that a transaction makes in the ledger, the totals that follow them, and their caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, cast

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.orm import Session

from stenoflow.storage.database.costs import CHARACTER, COUNTED, MS
from stenoflow.storage.database.rows import Clock, insert_into, storable
from stenoflow.storage.database.states import Activity, AttemptState, ChargeKind
from stenoflow.storage.database.tables import Attempt, Charge, DayCosts, Exposure, Job
from stenoflow.storage.errors import BudgetError, StenoflowError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.sql.dml import ReturningInsert

CURRENCY = "USD"
"""What budgets are given in."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a total is of: a run, a month, or a month's calls with a tag."""

    period: str
    tag: str = ""

    def __str__(self) -> str:
        """Return it as people say it."""
        return f"{self.period} and the tag {self.tag}" if self.tag else self.period


def scopes(run_id: str, begun: datetime, tag: str | None) -> Iterator[Scope]:
    """Yield what a call counts in, always in the same order: nobody waits for whom they hold up."""
    month = f"{begun:%Y-%m}"
    yield Scope(month)
    if tag:
        yield Scope(month, tag)
    yield Scope(f"run {run_id}")


@dataclass(frozen=True, slots=True)
class Budgets:
    """Caps on the exposure, in micro-units of USD; None: no cap.

    Attributes:
        run_micro: for all that one run of the program sends.
        month_micro: for a calendar month.
        tags_micro: for a calendar month's calls with a tag.
    """

    run_micro: int | None = None
    month_micro: int | None = None
    tags_micro: Mapping[str, int] = field(default_factory=dict)

    def cap(self, scope: Scope) -> int | None:
        """Return the cap on a total."""
        if scope.tag:
            return self.tags_micro.get(scope.tag)
        return self.run_micro if scope.period.startswith("run ") else self.month_micro

    def of_month(self, month: str) -> Iterator[tuple[Scope, int]]:
        """Yield the caps on a month ("2026-03"): on all of it, and on its tags."""
        if self.month_micro is not None:
            yield Scope(month), self.month_micro
        for tag, cap in sorted(self.tags_micro.items()):
            yield Scope(month, tag), cap

    def check(self, scope: Scope, exposure_micro: int) -> None:
        """Raise BudgetError if a total would be over its cap."""
        cap = self.cap(scope)
        if cap is None or exposure_micro <= cap:
            return
        if scope.period.startswith("run "):
            raise BudgetError(
                f"this run could come to more than its budget of {cap / 1e6:.4f} {CURRENCY}",
                "resume with a larger --budget",
            )
        raise BudgetError(
            f"the budget for {scope} of {cap / 1e6:.4f} {CURRENCY} has no room for it",
            "raise it under [budgets] in stenoflow.toml, or wait for the next month; then resume",
        )


class TotalsChange:
    """What one transaction changes of the totals; written at its end, so that rows are locked briefly."""

    def __init__(self) -> None:
        self._changes: Counter[tuple[Scope, str]] = Counter()
        self._days: dict[tuple[str, ...], Counter[str]] = {}

    def add(self, of: Iterable[Scope], charge: Charge) -> None:
        """Note a new entry; an amount that is unknown changes no exposure."""
        for scope in of:
            self._changes[scope, charge.currency] += charge.amount_micro or 0
        if charge.kind in COUNTED:
            self._days.setdefault(_day_of(charge), Counter()).update(_sums_of(charge))

    def write(self, session: Session) -> dict[Scope, int]:
        """Change the totals; returns those in USD that were changed, as they are now."""
        now = {}
        for (scope, currency), amount in self._changes.items():
            if amount:
                total = _add(session, scope, currency, amount)
                if currency == CURRENCY:
                    now[scope] = total
        # In one order, whoever writes: nobody waits for whom they hold up.
        for day in sorted(self._days):
            _add_to_day(session, day, self._days[day])
        return now


def exposure(session: Session, scope: Scope) -> int:
    """Return a total in micro-units of USD."""
    row = session.get(Exposure, (scope.period, scope.tag, CURRENCY))
    return 0 if row is None else row.amount_micro


def used(session: Session, budgets: Budgets, month: str) -> list[tuple[Scope, int, int]]:
    """Return each cap on a month as (of what, exposure, cap), in micro-units of USD."""
    return [(scope, exposure(session, scope), cap) for scope, cap in budgets.of_month(month)]


def totals(session: Session) -> dict[tuple[Scope, str], int]:
    """Return all totals, by scope and currency."""
    rows = session.scalars(select(Exposure)).all()
    return {(Scope(row.period, row.tag), row.currency): row.amount_micro for row in rows}


def _add(session: Session, scope: Scope, currency: str, amount_micro: int) -> int:
    total: int = session.execute(
        _add_to_exposure(session.get_bind().dialect.name),
        {"period": scope.period, "tag": scope.tag, "currency": currency, "amount_micro": amount_micro},
    ).scalar_one()
    return total


@cache
def _add_to_exposure(dialect: str) -> ReturningInsert[int]:
    statement = insert_into(dialect, Exposure)
    return statement.on_conflict_do_update(
        index_elements=[Exposure.period, Exposure.tag, Exposure.currency],
        set_={"amount_micro": Exposure.amount_micro + statement.excluded.amount_micro},
    ).returning(Exposure.amount_micro)


_DAY = (
    *(DayCosts.day, DayCosts.tag, DayCosts.inbox, DayCosts.provider, DayCosts.model),
    *(DayCosts.activity, DayCosts.currency),
)


def _day_of(charge: Charge) -> tuple[str, ...]:
    day = charge.created_at.astimezone(UTC).date().isoformat()
    whose = (charge.tag or "", charge.inbox or "", charge.provider, charge.model)
    return day, *whose, charge.activity, charge.currency


def _sums_of(charge: Charge) -> dict[str, int]:
    """Return what an entry adds to the sums of its day."""
    counts, amount = COUNTED[ChargeKind(charge.kind)], charge.amount_micro or 0
    is_actual = charge.kind == ChargeKind.ACTUAL
    is_transcription = is_actual and charge.unit == MS and charge.activity == Activity.TRANSCRIPTION
    return {
        "requests": counts,
        "uncertain": 0 if is_actual else counts,
        "unpriced": counts if charge.amount_micro is None else 0,
        "audio_ms": charge.quantity if is_transcription else 0,
        "characters": charge.quantity if is_actual and charge.unit == CHARACTER else 0,
        "actual_micro": amount if is_actual else 0,
        "possible_micro": 0 if is_actual else amount,
    }


def _add_to_day(session: Session, day: tuple[str, ...], sums: Mapping[str, int]) -> None:
    values = {column.key: value for column, value in zip(_DAY, day, strict=True)} | dict(sums)
    session.execute(_add_to_day_costs(session.get_bind().dialect.name, tuple(sums)), values)


@cache
def _add_to_day_costs(dialect: str, sums: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    statement, table = insert_into(dialect, DayCosts), DayCosts.__table__
    more = {name: table.c[name] + statement.excluded[name] for name in sums}
    return statement.on_conflict_do_update(index_elements=_DAY, set_=more)


_RESERVE = select(Charge).where(Charge.attempt_id == bindparam("attempt"), Charge.kind == ChargeKind.RESERVE)
_INSERT = insert(cast("Table", Charge.__table__))
_TAKES_BACK = {AttemptState.SENT: ChargeKind.RELEASE, AttemptState.UNKNOWN: ChargeKind.RECONCILE}


@dataclass(frozen=True, slots=True)
class Bill:
    """What a request costs, or may cost.

    Attributes:
        quantity: in ``unit`` (audio: ms).
        price: the price as the price book has it, for people ("0.006 USD a minute"); None if unknown.
        amount_micro: micro-units of ``currency``; None if the price is unknown.
    """

    quantity: int
    unit: str
    price: str | None
    amount_micro: int | None
    currency: str

    @property
    def reversed(self) -> Bill:
        """What takes it back."""
        amount = None if self.amount_micro is None else -self.amount_micro
        return Bill(-self.quantity, self.unit, self.price, amount, self.currency)


class Postings:
    """One transaction's entries. `close` it before the transaction is committed."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self.session = session
        self._clock = clock
        self._tally = TotalsChange()

    def find(self, attempt_id: str) -> Attempt:
        """Return an attempt, which nobody else changes until the transaction ends."""
        return self.session.get_one(Attempt, attempt_id, with_for_update=True)

    def reserve(self, attempt: Attempt, job: Job, bill: Bill) -> None:
        """Set money aside for a request that is about to be sent."""
        self._charge(attempt, ChargeKind.RESERVE, bill, job, attempt.started_at)

    def answer(self, attempt: Attempt, bill: Bill) -> None:
        """Charge a request that was answered."""
        reserve = self._end(attempt, AttemptState.OK)
        self._charge(attempt, ChargeKind.ACTUAL, bill, reserve, reserve.created_at)

    def refuse(self, attempt: Attempt, error: StenoflowError) -> None:
        """Close a request that cost nothing."""
        self._end(attempt, AttemptState.REFUSED, error)

    def mark_unknown(self, attempt: Attempt, error: StenoflowError) -> None:
        """Close a request that may have been charged."""
        reserve = self._end(attempt, AttemptState.UNKNOWN, error)
        self._charge(attempt, ChargeKind.POSSIBLE, _bill_of(reserve), reserve, reserve.created_at)

    def close(self, budgets: Budgets | None = None) -> None:
        """Bring the totals up to date. Raises BudgetError if one of them would be over its cap."""
        for scope, total in self._tally.write(self.session).items():
            if budgets is not None:
                budgets.check(scope, total)

    def _end(self, attempt: Attempt, state: AttemptState, error: StenoflowError | None = None) -> Charge:
        """Close an attempt, taking back its open reserve or its possible charge; returns the reserve."""
        reserve = self.session.scalars(_RESERVE, {"attempt": attempt.id}).one()
        kind = _TAKES_BACK.get(AttemptState(attempt.state))
        if kind is not None:
            self._charge(attempt, kind, _bill_of(reserve).reversed, reserve, reserve.created_at)
        attempt.state = state
        attempt.open_key = None
        attempt.ended_at = self._clock()
        attempt.error_kind = error.kind if error else None
        attempt.error_message = storable(error.message) if error else None
        return reserve

    def _charge(
        self, attempt: Attempt, kind: ChargeKind, bill: Bill, whose: Job | Charge, begun: datetime
    ) -> None:
        """Add an entry; whenever it is made, budgets count it in the month in which its request was begun.

        Args:
            attempt: the request.
            kind: of entry.
            bill: what it comes to.
            whose: the job, or its reserve, by which the tag and the inbox are told.
            begun: when the request was begun.
        """
        values = {
            "attempt_id": attempt.id,
            "job_id": attempt.job_id,
            "tag": whose.tag,
            "inbox": whose.inbox,
            "kind": kind,
            "activity": attempt.activity,
            "provider": attempt.provider,
            "model": attempt.model,
            "quantity": bill.quantity,
            "unit": bill.unit,
            "price": bill.price,
            "amount_micro": bill.amount_micro,
            "currency": bill.currency,
            "created_at": begun if kind == ChargeKind.RESERVE else self._clock(),
        }
        self.session.execute(_INSERT, values)
        self._tally.add(scopes(attempt.run_id, begun, whose.tag), Charge(**values))


def _bill_of(charge: Charge) -> Bill:
    return Bill(charge.quantity, charge.unit, charge.price, charge.amount_micro, charge.currency)
