"""Whether a job can be afforded: what is yet to be bought for it, held against the budgets."""

from __future__ import annotations

from storage.database.postings import Bill
from storage.database.tables import Job, Recording
from tasks.job_settings import JobSettings
from tasks.languages.translating import untranslated
from tasks.money.prices import Price, Tokens, Unit
from tasks.speech.excerpt import Excerpt
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
    missing_ms = _missing_ms(workshop, job, settings, recording.sha256)
    quantity_ms = duration_ms * settings.calls_a_segment if missing_ms is None else missing_ms
    if not quantity_ms:
        return
    price = price_of(workshop, settings)
    bill = bill_of(price, quantity_ms, price.reserve(quantity_ms) if price else None)
    model = f"{settings.model} at {settings.provider}"
    workshop.ledger.check_room(job.id, workshop.run_id, model, bill)


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


def _missing_ms(workshop: Workshop, job: Job, settings: JobSettings, sha256: str) -> int | None:
    """Return how much of a recording has no answer yet; None where nobody has cut it so before."""
    plan = workshop.catalog.find_plan(sha256, job.plan_hash)
    if plan is None:
        return None
    keys = WorkKeys(settings, sha256)
    keyed = [(keys.of(cut), cut) for cut in plan.segments]
    sent = {work_key: Excerpt(cut.spans).duration_ms for work_key, cut in keyed if cut.speech}
    answered = workshop.ledger.answered(sent)
    translatable = untranslated(workshop, settings, answered)
    unheard_ms = sum(ms for work_key, ms in sent.items() if work_key not in answered)
    return unheard_ms * settings.calls_a_segment + sum(sent[work_key] for work_key in translatable)
