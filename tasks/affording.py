"""Whether a job can be afforded: what is yet to be bought for it, held against the budgets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.database.exposures import CURRENCY
from storage.database.postings import Bill
from storage.database.tables import Job, Recording
from tasks.job_settings import JobSettings
from tasks.money.prices import Price, Tokens, Unit
from tasks.speech.excerpt import Excerpt
from tasks.translation.pricing import most_tokens
from tasks.translation.translating import untranslated
from tasks.work_keys import WorkKeys
from tasks.workshop import Workshop


def price_of(workshop: Workshop, settings: JobSettings) -> Price | None:
    """Return what the job's model costs, or None where that is unknown."""
    return workshop.prices.find(settings.provider, settings.model)


def check_affordable(workshop: Workshop, job: Job, recording: Recording, duration_ms: int) -> None:
    """Refuse a job that has spent nothing yet and is expected to cost more than there is room for.

    One that has spent something goes on as far as its budget allows: what it has is worth having.

    Raises:
        BudgetError: the job's own budget, the run's, the month's or the tag's has no room, or no budget can
            be kept since the price is unknown.
    """
    spent = workshop.reports.spending([job.id])
    if spent.actual_micro + spent.possible_micro:
        return
    settings = JobSettings.from_dict(job.settings)
    due = _due(workshop, job, settings, recording.sha256) or _Due.of_all(settings, duration_ms)
    bills = [
        (settings.model, _hearing(workshop, settings, due)),
        (settings.translator, _translating(workshop, settings, due)),
    ]
    bills = [(model, bill) for model, bill in bills if bill.quantity]
    if not bills:
        return
    # What nobody can hold against a budget is refused, in its own name.
    model, bill = min(bills, key=lambda each: _is_countable(each[1]))
    if _is_countable(bill):
        bill = replace(bill, amount_micro=sum(each.amount_micro or 0 for _, each in bills))
    workshop.ledger.check_room(job.id, workshop.run_id, f"{model} at {settings.provider}", bill)


def _is_countable(bill: Bill) -> bool:
    return bill.amount_micro is not None and bill.currency == CURRENCY


def bill_of(price: Price | None, quantity_ms: int, amount_micro: int | None) -> Bill:
    """Return the bill for some audio, with its price as people read it."""
    if price is None:
        return Bill(quantity_ms, Unit.MS, None, None, "USD")
    written = f"{price.amount} {price.currency} a {price.per} ({price.source}, {price.date})"
    return Bill(quantity_ms, Unit.MS, written, amount_micro, price.currency)


def bill_of_tokens(
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
        return Bill(tokens.total, Unit.TOKEN, None, None, "USD")
    said = f"{tokens.read} in, {tokens.written} out{'' if counted else ' at most'}"
    output = price.amount if price.output is None else price.output
    written = f"{price.amount} in, {output} out {price.currency} a {price.per}: {said}"
    return Bill(
        tokens.total, Unit.TOKEN, f"{written} ({price.source}, {price.date})", amount_micro, price.currency
    )


@dataclass(frozen=True, slots=True)
class _Due:
    """What is yet to be bought.

    Attributes:
        sound_ms: how much sound is sent: to be heard, and by a model that translates, again.
        chat_ms: how much speech is translated by chat.
        chat_segments: in how many segments.
    """

    sound_ms: int
    chat_ms: int = 0
    chat_segments: int = 0

    @classmethod
    def of_all(cls, settings: JobSettings, duration_ms: int) -> _Due:
        """Return it for a recording that nobody has cut yet."""
        sound_ms = duration_ms * settings.calls_a_segment
        if settings.translator is None:
            return cls(sound_ms)
        return cls(sound_ms, duration_ms, max(1, round(duration_ms / settings.target_ms)))


def _due(workshop: Workshop, job: Job, settings: JobSettings, sha256: str) -> _Due | None:
    """Return what of a recording has no answer yet; None where nobody has cut it so before."""
    plan = workshop.catalog.find_plan(sha256, job.plan_hash)
    if plan is None:
        return None
    keys = WorkKeys(settings, sha256)
    keyed = [(keys.of(cut), cut) for cut in plan.segments]
    sent = {work_key: Excerpt(cut.spans).duration_ms for work_key, cut in keyed if cut.speech}
    answered = workshop.ledger.answered(sent)
    heard = [sent[work_key] for work_key in untranslated(workshop, settings, answered)]
    unheard = [ms for work_key, ms in sent.items() if work_key not in answered]
    if settings.translator is None:
        return _Due(sum(unheard) * settings.calls_a_segment + sum(heard))
    return _Due(sum(unheard), sum(unheard) + sum(heard), len(unheard) + len(heard))


def _hearing(workshop: Workshop, settings: JobSettings, due: _Due) -> Bill:
    price = price_of(workshop, settings)
    return bill_of(price, due.sound_ms, price.reserve(due.sound_ms) if price else None)


def _translating(workshop: Workshop, settings: JobSettings, due: _Due) -> Bill:
    """Return what is reserved for translations by chat, in all."""
    name = settings.translator
    if name is None or not due.chat_ms:
        return Bill(0, Unit.TOKEN, None, 0, CURRENCY)
    price = workshop.prices.find(settings.provider, name)
    tokens = most_tokens(due.chat_ms, due.chat_segments, workshop.chat_models.get(name))
    return bill_of_tokens(price, tokens, price.reserve_tokens(tokens) if price else None)
