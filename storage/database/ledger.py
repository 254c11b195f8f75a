"""The ledger: every request and every amount, in the order that loses nothing.

A request is stored as sent, with its money reserved, in one transaction before a byte leaves; its
result and what it cost are stored in one transaction after. No transaction is open across a request.
A crash between the two leaves a request marked sent, which recovery turns into a possible charge.

Each request ends once. What is learned of it later is kept too: an answer that comes after its request
was given up for lost is stored and charged, and a `reconcile` takes the possible charge back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stenoflow.storage.database.charges import (
    CURRENCY,
    Bill,
    Budgets,
    Postings,
    Scope,
    exposure,
    scopes,
    used,
)
from stenoflow.storage.database.connection import Database
from stenoflow.storage.database.leases import Leases
from stenoflow.storage.database.rows import Clock, insert_missing, storable, utc_now
from stenoflow.storage.database.states import Activity, AttemptState, SegmentState
from stenoflow.storage.database.tables import Attempt, Charge, Job, Result, Segment
from stenoflow.storage.errors import AnsweredError, BudgetError, StenoflowError, TakenError

# What every segment asks: made once, for to write such a statement down takes longer than to run it.
_KEYED = Result.cache_key.in_(bindparam("keys", expanding=True))
_ANSWERS = select(Result.cache_key, Result.answer).where(_KEYED)
_ANSWERED = select(Result.cache_key).where(_KEYED)
_SUSPECTS = select(Result.cache_key, Result.suspect).where(_KEYED, Result.suspect.is_not(None))
_KEPT = (
    select(Attempt.id, Attempt.answer)
    .where(Attempt.cache_key == bindparam("key"), Attempt.answer.is_not(None))
    .order_by(Attempt.started_at, Attempt.id)
)
_OPEN = select(Attempt).where(Attempt.open_key == bindparam("key")).with_for_update()
_SENT = select(Attempt.id).where(Attempt.job_id == bindparam("job"), Attempt.state == AttemptState.SENT)
# In one order, so that two recoveries at once do not lock each other out for good.
_SENT_LOCKED = (
    select(Attempt)
    .where(Attempt.job_id == bindparam("job"), Attempt.state == AttemptState.SENT)
    .order_by(Attempt.id)
    .with_for_update()
)
_SET_SEGMENT = (
    update(Segment)
    .where(Segment.job_id == bindparam("job"), Segment.index == bindparam("number"))
    .values(state=bindparam("to"), error_kind=bindparam("kind"), error_message=bindparam("message"))
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request for one segment, before it is sent."""

    job_id: str
    segment_index: int
    cache_key: str
    run_id: str
    provider: str
    model: str
    bill: Bill
    activity: Activity = Activity.TRANSCRIPTION


class Ledger:
    """Attempts, results and charges, in a database."""

    def __init__(
        self,
        database: Database,
        clock: Clock = utc_now,
        leases: Leases | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._leases = leases or Leases(database, clock=clock)
        self._budgets = budgets or Budgets()

    def answers(self, cache_keys: Iterable[str]) -> dict[str, str]:
        """Return the stored raw answers by cache key."""
        keys = list(cache_keys)
        if not keys:
            return {}
        with self._database.read() as session:
            rows = session.execute(_ANSWERS, {"keys": keys})
            return {cache_key: answer for cache_key, answer in rows}  # noqa: C416 - Row is not a pair to mypy

    def answered(self, cache_keys: Iterable[str]) -> set[str]:
        """Return those of the cache keys whose answers are stored."""
        keys = list(cache_keys)
        if not keys:
            return set()
        with self._database.read() as session:
            return set(session.scalars(_ANSWERED, {"keys": keys}))

    def begin(self, request: Request) -> str:
        """Store a request as sent and reserve its money.

        A request for the same that a dead run left open becomes a possible charge.

        Returns:
            The attempt's id.

        Raises:
            BudgetError: with this request the exposure of the job, the run, the month, or the month and the
                job's tag could pass its budget. Nothing is stored.
            AnsweredError: the answer is stored already. Nothing is stored.
            TakenError: a run that is alive has sent a request for the same. Nothing is stored.
        """
        with self._posting(self._budgets) as postings:
            session = postings.session
            job = session.get_one(Job, request.job_id, with_for_update=True)
            if session.scalar(_ANSWERED, {"keys": [request.cache_key]}) is not None:
                raise _answered(request)
            self._take_over(postings, request)
            self._check_price(job, request.run_id, f"{request.model} at {request.provider}", request.bill)
            _check_job(session, job, request.bill.amount_micro or 0, f"segment {request.segment_index}")
            attempt = Attempt(
                id=uuid4().hex,
                job_id=request.job_id,
                segment_index=request.segment_index,
                cache_key=request.cache_key,
                open_key=request.cache_key,
                run_id=request.run_id,
                activity=request.activity,
                provider=request.provider,
                model=request.model,
                state=AttemptState.SENT,
                started_at=self._clock(),
            )
            session.add(attempt)
            try:
                session.flush()
            except IntegrityError as error:
                # Another run was quicker by a moment: PostgreSQL lets two look at once.
                raise _taken(request) from error
            if session.scalar(_ANSWERED, {"keys": [request.cache_key]}) is not None:
                # It came while the lock of its attempt was waited for; from now on none can come unseen.
                raise _answered(request)
            postings.reserve(attempt, job, request.bill)
            return attempt.id

    def suspects(self, cache_keys: Iterable[str]) -> dict[str, str]:
        """Return why stored answers are not to be trusted, by cache key; those that are, are left out."""
        rows = {"keys": list(cache_keys)}
        with self._database.read() as session:
            return {cache_key: reason for cache_key, reason in session.execute(_SUSPECTS, rows) if reason}

    def succeed(self, attempt_id: str, answer: str, bill: Bill, suspect: str | None = None) -> None:
        """Store an answer and what it cost; the segment is done. ``suspect``: why it is not to be trusted.

        An answer that is stored under the same cache key already is kept instead; this one is charged all
        the same. An answer to a request that was given up for lost is taken too. Saying it again changes
        nothing.
        """
        with self._posting() as postings:
            attempt = postings.find(attempt_id)
            if attempt.state == AttemptState.OK:
                return
            postings.answer(attempt, bill)
            self._keep(postings.session, attempt, answer, suspect)
            _mark_done(postings.session, attempt, attempt.job_id, attempt.segment_index)

    def store_suspect(
        self, attempt_id: str, answer: str, bill: Bill, why: StenoflowError | None = None
    ) -> None:
        """Keep an answer that is too strange to be taken, and what it cost; the segment is not done.

        ``why``: what is wrong with it, for `complaints`.
        """
        with self._posting() as postings:
            attempt = postings.find(attempt_id)
            if attempt.state == AttemptState.OK:
                return
            postings.answer(attempt, bill)
            attempt.answer = storable(answer)
            if why is not None:
                attempt.error_kind, attempt.error_message = why.kind, storable(str(why))

    def first_suspect(self, cache_key: str) -> tuple[str, str] | None:
        """Return the first suspect answer, as (attempt, answer); None where none was."""
        with self._database.read() as session:
            row = session.execute(_KEPT, {"key": cache_key}).first()
            return None if row is None or row[1] is None else (row[0], row[1])

    def stored_suspects(self, cache_key: str) -> list[str]:
        """Return all answers that were kept and not taken, in the order of their requests."""
        with self._database.read() as session:
            return [answer for _, answer in session.execute(_KEPT, {"key": cache_key}) if answer]

    def accept_suspect(self, job_id: str, segment_index: int, attempt_id: str, suspect: str | None) -> None:
        """Take a suspect answer: there is no better one, or nothing is wrong with it (None)."""
        with self._database.write() as session:
            attempt = session.get_one(Attempt, attempt_id, with_for_update=True)
            self._keep(session, attempt, attempt.answer or "", suspect)
            _mark_done(session, attempt, job_id, segment_index)

    def answered_by(self, cache_keys: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return by cache key who gave the stored answer, as (provider, model)."""
        query = (
            select(Result.cache_key, Attempt.provider, Attempt.model)
            .join(Attempt, Attempt.id == Result.attempt_id)
            .where(Result.cache_key.in_(list(cache_keys)))
        )
        with self._database.read() as session:
            return {cache_key: (provider, model) for cache_key, provider, model in session.execute(query)}

    def complaints(self, cache_keys: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return by cache key how the last request for it failed, as (kind, message)."""
        query = select(Attempt.cache_key, Attempt.error_kind, Attempt.error_message).where(
            Attempt.cache_key.in_(list(cache_keys)), Attempt.error_kind.is_not(None)
        )
        with self._database.read() as session:
            rows = session.execute(query.order_by(Attempt.started_at))
            return {cache_key: (kind or "", message or "") for cache_key, kind, message in rows}

    def put_result(self, cache_key: str, answer: str) -> None:
        """Store an answer that nobody was paid for, under the hash of what it is; it is never changed."""
        with self._database.write() as session:
            insert_missing(
                session,
                Result(cache_key=cache_key, attempt_id="", answer=storable(answer), created_at=self._clock()),
            )

    def set_result(self, cache_key: str, answer: str) -> None:
        """Store what we have worked out ourselves, in place of what is there."""
        with self._database.write() as session:
            insert_missing(
                session, Result(cache_key=cache_key, attempt_id="", answer="", created_at=self._clock())
            )
            session.execute(
                update(Result).where(Result.cache_key == cache_key).values(answer=storable(answer))
            )

    def refuse(self, attempt_id: str, error: StenoflowError) -> None:
        """Record that a request cost nothing: it never left, or the provider did not take it.

        Changes nothing where the request was answered or refused before.
        """
        with self._posting() as postings:
            attempt = postings.find(attempt_id)
            if attempt.state in {AttemptState.SENT, AttemptState.UNKNOWN}:
                postings.refuse(attempt, error)

    def mark_unknown(self, attempt_id: str, error: StenoflowError) -> None:
        """Record that a request's outcome is unknown: it may have been charged.

        Changes nothing where the request has ended before.
        """
        with self._posting() as postings:
            attempt = postings.find(attempt_id)
            if attempt.state == AttemptState.SENT:
                postings.mark_unknown(attempt, error)

    def recover(self, job_id: str, error: StenoflowError) -> int:
        """Turn requests of a dead run that are still marked sent into possible charges.

        Those of a run that is alive are left alone.

        Returns:
            How many there were.
        """
        with self._database.read() as session:
            if session.scalar(_SENT, {"job": job_id}) is None:
                return 0
        with self._posting() as postings:
            session = postings.session
            sent = session.scalars(_SENT_LOCKED, {"job": job_id}).all()
            dead = [each for each in sent if not self._leases.is_alive(session, each.run_id)]
            for attempt in dead:
                postings.mark_unknown(attempt, error)
            return len(dead)

    def fail_segment(self, job_id: str, segment_index: int, error: StenoflowError) -> None:
        """Set a segment aside with its reason; the others go on. One that is done by now stays done."""
        with self._database.write() as session:
            segment = session.get_one(Segment, (job_id, segment_index), with_for_update=True)
            if segment.state != SegmentState.DONE:
                _set_segment(session, job_id, segment_index, SegmentState.FAILED, error)

    def mark_cached(self, job_id: str, segment_index: int) -> None:
        """Record that a segment is answered by a stored result."""
        with self._database.write() as session:
            _set_segment(session, job_id, segment_index, SegmentState.DONE)

    def withdraw(self, cache_key: str, answer: str) -> None:
        """Drop an answer that names what is not there any more, so that it can be asked for again."""
        with self._database.write() as session:
            session.execute(delete(Result).where(Result.cache_key == cache_key, Result.answer == answer))

    def _keep(self, session: Session, attempt: Attempt, answer: str, suspect: str | None) -> None:
        """Store an answer under its cache key, unless one is there."""
        insert_missing(
            session,
            Result(
                cache_key=attempt.cache_key,
                attempt_id=attempt.id,
                answer=answer,
                suspect=suspect,
                created_at=self._clock(),
            ),
        )

    def _take_over(self, postings: Postings, request: Request) -> None:
        """Close what is open for the same cache key, if its run is dead or is our own."""
        session = postings.session
        open_ = session.scalars(_OPEN, {"key": request.cache_key}).one_or_none()
        if open_ is None:
            return
        if open_.run_id != request.run_id and self._leases.is_alive(session, open_.run_id):
            raise _taken(request)
        postings.mark_unknown(open_, StenoflowError("the run that made this call was broken off"))
        session.flush()

    def check_room(self, job_id: str, run_id: str, model: str, bill: Bill) -> None:
        """See that a job's expected cost has room within all caps, as things stand; reserves nothing.

        Raises:
            BudgetError: it has not, or the price is unknown and there is a cap.
        """
        more = bill.amount_micro or 0
        with self._database.read() as session:
            job = session.get_one(Job, job_id)
            self._check_price(job, run_id, model, bill)
            _check_job(session, job, more, f"about {more / 1e6:.4f} {CURRENCY} expected")
            for scope in scopes(run_id, self._clock(), job.tag):
                self._budgets.check(scope, exposure(session, scope) + more)

    def budgets_of_the_month(self) -> list[tuple[Scope, int, int]]:
        """Return each cap on this month as (of what, exposure, cap), in micro-units of USD."""
        month = f"{self._clock():%Y-%m}"
        with self._database.read() as session:
            return used(session, self._budgets, month)

    def _check_price(self, job: Job, run_id: str, model: str, bill: Bill) -> None:
        """Raise BudgetError where there is a cap and nobody knows what a request costs in its currency."""
        caps = [self._budgets.cap(scope) for scope in scopes(run_id, self._clock(), job.tag)]
        if job.budget_micro is None and caps == [None] * len(caps):
            return
        if bill.amount_micro is None:
            raise BudgetError(
                f"the price of {model} is unknown, so no budget can be kept",
                "add it under [prices] in stenoflow.toml, or set no budget",
            )
        if bill.currency != CURRENCY:
            raise BudgetError(
                f"the price of {model} is in {bill.currency}, and budgets are in {CURRENCY}",
                "give the price in USD in stenoflow.toml, or set no budget",
            )

    @contextmanager
    def _posting(self, budgets: Budgets | None = None) -> Iterator[Postings]:
        """Open a transaction that may add charges; at its end the totals follow, within their caps."""
        with self._database.write() as session:
            postings = Postings(session, self._clock)
            yield postings
            postings.close(budgets)


def _answered(request: Request) -> AnsweredError:
    return AnsweredError(f"segment {request.segment_index} of job {request.job_id} is answered")


def _taken(request: Request) -> TakenError:
    return TakenError(f"segment {request.segment_index} of job {request.job_id} is asked for by another run")


def _amount(micro: int) -> str:
    """Write an amount with four decimals, or with six where it has more than four."""
    return f"{micro / 1e6:.{4 if micro % 100 == 0 else 6}f}"


def _check_job(session: Session, job: Job, more_micro: int, what: str) -> None:
    """Raise BudgetError if that much more could take a job over its own budget."""
    if job.budget_micro is None:
        return
    exposure = session.scalar(select(func.sum(Charge.amount_micro)).where(Charge.job_id == job.id)) or 0
    if exposure + more_micro > job.budget_micro:
        raise BudgetError(
            f"{what} could take job {job.id} over its budget of {_amount(job.budget_micro)} {CURRENCY}",
            "resume it with a larger --budget",
        )


def _mark_done(session: Session, attempt: Attempt, job_id: str, index: int) -> None:
    """Say of a segment that it is done; a translation is beside that."""
    if attempt.activity != Activity.TRANSLATION:
        _set_segment(session, job_id, index, SegmentState.DONE)


def _set_segment(
    session: Session, job_id: str, index: int, state: SegmentState, error: StenoflowError | None = None
) -> None:
    session.execute(
        _SET_SEGMENT,
        {
            "job": job_id,
            "number": index,
            "to": state,
            "kind": error.kind if error else None,
            "message": storable(str(error)) if error else None,
        },
        execution_options={"synchronize_session": False},
    )
