"""The ledger: every request and every amount, in the order that loses nothing.

A request is stored as sent, with its money reserved, in one transaction before a byte leaves; its
result and what it cost are stored in one transaction after. No transaction is open across a request.
A crash between the two leaves a request marked sent, which recovery turns into a possible charge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage.database.clock import Clock, utc_now
from storage.database.connection import Database
from storage.database.states import AttemptState, ChargeKind, SegmentState
from storage.database.tables import Attempt, Charge, Job, Result, Segment
from storage.errors import BudgetError, StenoflowError


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


@dataclass(frozen=True, slots=True)
class Request:
    """One request for one segment, before it is sent."""

    job_id: str
    segment_index: int
    work_key: str
    run_id: str
    provider: str
    model: str
    bill: Bill


class Ledger:
    """Attempts, results and charges, in a database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def answers(self, work_keys: Iterable[str]) -> dict[str, str]:
        """Return the stored raw answers by work key."""
        with self._database.read() as session:
            rows = session.execute(
                select(Result.work_key, Result.answer).where(Result.work_key.in_(list(work_keys)))
            )
            return {work_key: answer for work_key, answer in rows}  # noqa: C416 - Row is not a pair to mypy

    def answered(self, work_keys: Iterable[str]) -> set[str]:
        """Return those of the work keys whose answers are stored."""
        with self._database.read() as session:
            return set(session.scalars(select(Result.work_key).where(Result.work_key.in_(list(work_keys)))))

    def begin(self, request: Request) -> str:
        """Store a request as sent and reserve its money.

        Returns:
            The attempt's id.

        Raises:
            BudgetError: with this request the job's exposure could pass its budget. Nothing is stored.
        """
        with self._database.write() as session:
            job = session.get_one(Job, request.job_id, with_for_update=True)
            _check_budget(session, job, request)
            attempt = Attempt(
                id=uuid4().hex,
                job_id=request.job_id,
                segment_index=request.segment_index,
                work_key=request.work_key,
                run_id=request.run_id,
                provider=request.provider,
                model=request.model,
                state=AttemptState.SENT,
                started_at=self._clock(),
            )
            session.add(attempt)
            self._charge(session, attempt, job.tag, ChargeKind.RESERVE, request.bill)
            return attempt.id

    def succeed(self, attempt_id: str, answer: str, bill: Bill) -> None:
        """Store an answer and what it cost; the segment is done."""
        with self._database.write() as session:
            attempt = self._end(session, attempt_id, AttemptState.OK)
            self._charge(session, attempt, _tag(session, attempt), ChargeKind.ACTUAL, bill)
            if session.get(Result, attempt.work_key) is None:
                session.add(
                    Result(
                        work_key=attempt.work_key,
                        attempt_id=attempt.id,
                        answer=answer,
                        created_at=self._clock(),
                    )
                )
            _set_segment(session, attempt.job_id, attempt.segment_index, SegmentState.DONE)

    def refuse(self, attempt_id: str, error: StenoflowError) -> None:
        """Record that a request cost nothing: it never left, or the provider did not take it."""
        with self._database.write() as session:
            self._end(session, attempt_id, AttemptState.REFUSED, error)

    def lose(self, attempt_id: str, error: StenoflowError) -> None:
        """Record that a request's outcome is unknown: it may have been charged."""
        with self._database.write() as session:
            self._lose(session, attempt_id, error)

    def recover(self, job_id: str, error: StenoflowError) -> int:
        """Turn requests of a dead run that are still marked sent into possible charges.

        Returns:
            How many there were.
        """
        with self._database.write() as session:
            sent = session.scalars(
                select(Attempt.id).where(Attempt.job_id == job_id, Attempt.state == AttemptState.SENT)
            ).all()
            for attempt_id in sent:
                self._lose(session, attempt_id, error)
            return len(sent)

    def park(self, job_id: str, segment_index: int, error: StenoflowError) -> None:
        """Set a segment aside with its reason; the others go on."""
        with self._database.write() as session:
            _set_segment(session, job_id, segment_index, SegmentState.FAILED, error)

    def reuse(self, job_id: str, segment_index: int) -> None:
        """Record that a segment is answered by a stored result."""
        with self._database.write() as session:
            _set_segment(session, job_id, segment_index, SegmentState.DONE)

    def _lose(self, session: Session, attempt_id: str, error: StenoflowError) -> None:
        attempt = self._end(session, attempt_id, AttemptState.UNKNOWN, error)
        reserve = _reserve_of(session, attempt_id)
        self._charge(session, attempt, reserve.tag, ChargeKind.POSSIBLE, _bill_of(reserve))

    def _end(
        self, session: Session, attempt_id: str, state: AttemptState, error: StenoflowError | None = None
    ) -> Attempt:
        """Close an attempt and release its reserve."""
        attempt = session.get_one(Attempt, attempt_id, with_for_update=True)
        attempt.state = state
        attempt.ended_at = self._clock()
        if error is not None:
            attempt.error_kind, attempt.error_message = error.kind, error.message
        reserve = _reserve_of(session, attempt_id)
        self._charge(session, attempt, reserve.tag, ChargeKind.RELEASE, _reversed(_bill_of(reserve)))
        return attempt

    def _charge(
        self, session: Session, attempt: Attempt, tag: str | None, kind: ChargeKind, bill: Bill
    ) -> None:
        session.add(
            Charge(
                attempt_id=attempt.id,
                job_id=attempt.job_id,
                tag=tag,
                kind=kind,
                provider=attempt.provider,
                model=attempt.model,
                quantity=bill.quantity,
                unit=bill.unit,
                price=bill.price,
                amount_micro=bill.amount_micro,
                currency=bill.currency,
                created_at=self._clock(),
            )
        )


def _check_budget(session: Session, job: Job, request: Request) -> None:
    if job.budget_micro is None:
        return
    if request.bill.amount_micro is None:
        raise BudgetError(
            f"the price of {request.model} at {request.provider} is unknown, so no budget can be kept",
            "add the price to stenoflow.toml, or leave out --budget",
        )
    exposure = session.scalar(select(func.sum(Charge.amount_micro)).where(Charge.job_id == job.id)) or 0
    if exposure + request.bill.amount_micro > job.budget_micro:
        raise BudgetError(
            f"segment {request.segment_index} could take job {job.id} over its budget of "
            f"{job.budget_micro / 1e6:.4f} {request.bill.currency}",
            "resume it with a larger --budget",
        )


def _reserve_of(session: Session, attempt_id: str) -> Charge:
    return session.scalars(
        select(Charge).where(Charge.attempt_id == attempt_id, Charge.kind == ChargeKind.RESERVE)
    ).one()


def _bill_of(charge: Charge) -> Bill:
    return Bill(charge.quantity, charge.unit, charge.price, charge.amount_micro, charge.currency)


def _reversed(bill: Bill) -> Bill:
    amount = None if bill.amount_micro is None else -bill.amount_micro
    return Bill(-bill.quantity, bill.unit, bill.price, amount, bill.currency)


def _tag(session: Session, attempt: Attempt) -> str | None:
    return session.scalar(select(Job.tag).where(Job.id == attempt.job_id))


def _set_segment(
    session: Session, job_id: str, index: int, state: SegmentState, error: StenoflowError | None = None
) -> None:
    session.execute(
        update(Segment)
        .where(Segment.job_id == job_id, Segment.index == index)
        .values(
            state=state,
            error_kind=error.kind if error else None,
            error_message=str(error) if error else None,
        )
    )
