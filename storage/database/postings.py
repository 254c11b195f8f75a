"""The entries that one transaction makes in the ledger: what a request does to the charges and the totals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from stenoflow.storage.database.budgets import Budgets, Tally, scopes
from stenoflow.storage.database.clock import Clock
from stenoflow.storage.database.rows import storable
from stenoflow.storage.database.states import AttemptState, ChargeKind
from stenoflow.storage.database.tables import Attempt, Charge
from stenoflow.storage.errors import StenoflowError

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
        self._tally = Tally()

    def find(self, attempt_id: str) -> Attempt:
        """Return an attempt, which nobody else changes until the transaction ends."""
        return self.session.get_one(Attempt, attempt_id, with_for_update=True)

    def reserve(self, attempt: Attempt, tag: str | None, bill: Bill) -> None:
        """Set money aside for a request that is about to be sent."""
        self._charge(attempt, ChargeKind.RESERVE, bill, tag, attempt.started_at)

    def answer(self, attempt: Attempt, bill: Bill) -> None:
        """Charge a request that was answered."""
        reserve = self._end(attempt, AttemptState.OK)
        self._charge(attempt, ChargeKind.ACTUAL, bill, reserve.tag, reserve.created_at)

    def refuse(self, attempt: Attempt, error: StenoflowError) -> None:
        """Close a request that cost nothing."""
        self._end(attempt, AttemptState.REFUSED, error)

    def lose(self, attempt: Attempt, error: StenoflowError) -> None:
        """Close a request that may have been charged."""
        reserve = self._end(attempt, AttemptState.UNKNOWN, error)
        self._charge(attempt, ChargeKind.POSSIBLE, _bill_of(reserve), reserve.tag, reserve.created_at)

    def close(self, budgets: Budgets | None = None) -> None:
        """Bring the totals up to date. Raises BudgetError if one of them would be over its cap."""
        for scope, total in self._tally.write(self.session).items():
            if budgets is not None:
                budgets.check(scope, total)

    def _end(self, attempt: Attempt, state: AttemptState, error: StenoflowError | None = None) -> Charge:
        """Close an attempt, taking back its open reserve or its possible charge; returns the reserve."""
        of_attempt = select(Charge).where(Charge.attempt_id == attempt.id)
        reserve = self.session.scalars(of_attempt.where(Charge.kind == ChargeKind.RESERVE)).one()
        kind = _TAKES_BACK.get(AttemptState(attempt.state))
        if kind is not None:
            self._charge(attempt, kind, _bill_of(reserve).reversed, reserve.tag, reserve.created_at)
        attempt.state = state
        attempt.open_key = None
        attempt.ended_at = self._clock()
        attempt.error_kind = error.kind if error else None
        attempt.error_message = storable(error.message) if error else None
        return reserve

    def _charge(
        self, attempt: Attempt, kind: ChargeKind, bill: Bill, tag: str | None, begun: datetime
    ) -> None:
        """Add an entry; whenever it is made, it counts in the month in which its request was begun."""
        self.session.add(
            Charge(
                attempt_id=attempt.id,
                job_id=attempt.job_id,
                tag=tag,
                kind=kind,
                activity=attempt.activity,
                provider=attempt.provider,
                model=attempt.model,
                quantity=bill.quantity,
                unit=bill.unit,
                price=bill.price,
                amount_micro=bill.amount_micro,
                currency=bill.currency,
                created_at=begun if kind == ChargeKind.RESERVE else self._clock(),
            )
        )
        self._tally.add(scopes(attempt.run_id, begun, tag), bill.currency, bill.amount_micro)


def _bill_of(charge: Charge) -> Bill:
    return Bill(charge.quantity, charge.unit, charge.price, charge.amount_micro, charge.currency)
