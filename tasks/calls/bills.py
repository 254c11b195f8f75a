"""Bills: what a call reserves before it is sent and is charged after; the check before the first of a job."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from stenoflow.storage.database.charges import CURRENCY, Bill
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Charge, Job
from stenoflow.storage.errors import BudgetError, TakenError
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.billing.prices import Price, Tokens, Unit
from stenoflow.tasks.context import AppContext

# An API's own count is not believed beyond so many times what was sent.
_OFTEN = 2
_LEAST_S = Decimal("0.001")
_LONG = 10**15
_NOT_BELIEVED = "the API's own count cannot be"
# Nobody speaks more slowly than that, so that what is reserved is enough.
_MOST_MS_A_CHARACTER = 250


def reserve_audio(price: Price | None, ms: int) -> Bill:
    """Return the most that some audio may cost."""
    return _bill(price, Unit.MS, ms, price.reserve(ms) if price else None)


def bill_audio(price: Price | None, sent_ms: int, counted_s: Decimal | None = None) -> Bill:
    """Charge the seconds that the API says it counted, or what was sent where it says none that can be.

    Args:
        price: of the model; None: unknown.
        sent_ms: the length of what was sent.
        counted_s: the API's own count; None: it gives none.
    """
    if counted_s is None:
        return _bill(price, Unit.MS, sent_ms, price.charge(sent_ms) if price else None)
    most_ms = _OFTEN * (price.most_counted(sent_ms) if price else sent_ms + 1_000)
    # A number of any size may stand there: it is compared before anything is worked out with it.
    if _LEAST_S <= counted_s <= Decimal(most_ms) / 1_000:
        ms = round(counted_s * 1_000)
        return _bill(price, Unit.MS, ms, price.charge(ms) if price else None)
    bill = bill_audio(price, sent_ms)
    return _noted(bill, f"{counted_s:.12g} s") if sent_ms else bill


def reserve_chat(price: Price | None, request: ChatRequest) -> Bill:
    """Return the most that a question may cost: its bytes as tokens, and the longest answer."""
    return reserve_tokens(price, Tokens(request.most_input_tokens, request.most_tokens))


def bill_chat(price: Price | None, request: ChatRequest, answer: ChatAnswer) -> Bill:
    """Charge what the API says that it counted, where that can be; else the most that it can be."""
    read, written = answer.input_tokens, answer.output_tokens
    most_read = request.most_input_tokens
    reads = read is not None and 0 < read <= _OFTEN * most_read
    writes = written is not None and bool(answer.text) <= written <= _OFTEN * request.most_tokens
    tokens = Tokens(
        read if read is not None and reads else most_read,
        written if written is not None and writes else min(request.most_tokens, len(answer.raw)),
    )
    amount_micro = price.charge_tokens(tokens) if price else None
    bill = _bill_of_tokens(price, tokens, amount_micro, counted=reads and writes)
    odd = [
        f"{_short(count)} {way}"
        for count, is_sound, way in ((read, reads, "in"), (written, writes, "out"))
        if count is not None and not is_sound
    ]
    return _noted(bill, ", ".join(odd)) if odd else bill


def reserve_tokens(price: Price | None, tokens: Tokens) -> Bill:
    """Return the most that so many tokens may cost."""
    return _bill_of_tokens(price, tokens, price.reserve_tokens(tokens) if price else None)


def reserve_speech(price: Price | None, characters: int, speed: float) -> Bill:
    """Return the most that it may cost to have a text spoken."""
    price = _of_speech(price)
    if price is None:
        return _bill(None, Unit.CHARACTER, characters, None)
    by_time = price.unit is Unit.MS
    quantity = round(characters * _MOST_MS_A_CHARACTER / speed) if by_time else characters
    return _bill(price, price.unit, quantity, price.reserve(quantity))


def bill_speech(price: Price | None, characters: int, spoken_ms: int) -> Bill:
    """Return what it has cost to have a text spoken."""
    price = _of_speech(price)
    if price is None:
        return _bill(None, Unit.CHARACTER, characters, None)
    quantity = spoken_ms if price.unit is Unit.MS else characters
    return _bill(price, price.unit, quantity, price.charge(quantity))


def check_affordable(context: AppContext, job: Job, expected: Iterable[tuple[Target, Bill]]) -> None:
    """Refuse a job that has spent nothing yet and is expected to cost more than there is room for.

    One that has spent something goes on as far as its budget allows: what it has is worth having.

    Args:
        context: the tools.
        job: it is refused in the database, too.
        expected: who is to be paid, and what at most; read only where nothing is spent yet.

    Raises:
        BudgetError: the job's own budget, the run's, the month's or the tag's has no room, or no budget can
            be kept since the price is unknown.
    """
    try:
        with context.database.reading():
            _check_room(context, job, expected)
    except BudgetError as error:
        error.job_id = job.id
        # A run that is at work on it has checked it before, and knows better.
        with suppress(TakenError):
            context.catalog.set_state(job.id, JobState.REFUSED, error)
        raise


def _check_room(context: AppContext, job: Job, expected: Iterable[tuple[Target, Bill]]) -> None:
    spent = context.reports.spending([job.id])
    if spent.actual_micro + spent.possible_micro:
        return
    bills = [(target, bill) for target, bill in expected if bill.quantity]
    if not bills:
        return
    # A bill that no budget can count is refused in the name of its own model.
    target, bill = min(bills, key=lambda each: is_countable(each[1]))
    if is_countable(bill):
        bill = replace(bill, amount_micro=sum(each.amount_micro or 0 for _, each in bills))
    context.ledger.check_room(job.id, context.run_id, str(target), bill)


def is_countable(bill: Bill) -> bool:
    """Tell whether a budget can count a bill: its price is known, and in the budgets' currency."""
    return bill.amount_micro is not None and bill.currency == CURRENCY


def _of_speech(price: Price | None) -> Price | None:
    """Return a price of speech; None where it is counted in tokens, which the API does not tell."""
    return None if price is None or price.unit is Unit.TOKEN else price


def _bill(price: Price | None, unit: Unit, quantity: int, amount_micro: int | None) -> Bill:
    """Return a bill with its price as people read it."""
    if price is None:
        return Bill(quantity, unit, None, None, CURRENCY)
    written = f"{price.amount} {price.currency} a {price.per} ({price.source}, {price.date})"
    return Bill(quantity, unit, written, amount_micro, price.currency)


def counts_not_believed(charges: Iterable[Charge]) -> int:
    """Return how many of a job's charges are booked at our own count, since the API's cannot be."""
    return sum(_NOT_BELIEVED in (charge.price or "") for charge in charges)


def _noted(bill: Bill, counted: str) -> Bill:
    """Say on a bill what the API counted, which was not believed."""
    if bill.price is None:
        return bill
    return replace(bill, price=f"{bill.price}; {_NOT_BELIEVED}: {counted}")


def _short(count: int) -> str:
    """Write a count of any size in a few digits."""
    return str(count) if count < _LONG else f"over {_LONG:.0e}"


def _bill_of_tokens(
    price: Price | None, tokens: Tokens, amount_micro: int | None, *, counted: bool = True
) -> Bill:
    """Return the bill for a question and its answer, so written that it can be worked out again.

    Args:
        price: of the model; None: unknown.
        tokens: that it read and wrote.
        amount_micro: what they come to.
        counted: False where the provider did not say how many they were.
    """
    if price is None:
        return Bill(tokens.total, Unit.TOKEN, None, None, CURRENCY)
    said = f"{tokens.read} in, {tokens.written} out{'' if counted else ' at most'}"
    output = price.amount if price.output is None else price.output
    written = f"{price.amount} in, {output} out {price.currency} a {price.per}: {said}"
    return Bill(
        tokens.total, Unit.TOKEN, f"{written} ({price.source}, {price.date})", amount_micro, price.currency
    )
