"""Bills."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stenoflow.storage.database.budgets import CURRENCY
from stenoflow.storage.database.postings import Bill
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.settings import CacheKeys, JobSettings
from stenoflow.tasks.billing.prices import Price, Tokens, Unit
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.translate.plan import most_tokens
from stenoflow.tasks.transcript.regions import Excerpt


def reserve_chat(price: Price | None, request: ChatRequest) -> Bill:
    """Return what a question may cost at most: its bytes as tokens, and the longest answer."""
    tokens = Tokens(request.most_input_tokens, request.most_tokens)
    return bill_of_tokens(price, tokens, price.reserve_tokens(tokens) if price else None)


def bill_chat(price: Price | None, request: ChatRequest, answer: ChatAnswer) -> Bill:
    """Charge what the API says that it counted; what it does not say, as the most that it can be."""
    read, written = answer.input_tokens, answer.output_tokens
    counted = read is not None and written is not None
    tokens = Tokens(
        request.most_input_tokens if read is None else read,
        min(request.most_tokens, len(answer.raw)) if written is None else written,
    )
    return bill_of_tokens(price, tokens, price.charge_tokens(tokens) if price else None, counted=counted)


# Nobody speaks more slowly than that, so that what is reserved is enough.
_MOST_MS_A_CHARACTER = 250


def speech_price(context: AppContext, settings: SpeechSettings) -> Price | None:
    """Return what the model costs; None where that is unknown, or counted in what the API does not tell."""
    price = context.prices.find(settings.provider, settings.model)
    return None if price is None or price.unit is Unit.TOKEN else price


def reserve_speech(price: Price | None, characters: int, speed: float) -> Bill:
    """Return the most that a text may cost."""
    quantity = characters
    if price is not None and price.unit is Unit.MS:
        quantity = round(characters * _MOST_MS_A_CHARACTER / speed)
    return _bill(price, quantity, price.reserve(quantity) if price else None)


def bill_speech(price: Price | None, characters: int, spoken_ms: int) -> Bill:
    """Return what a text has cost."""
    quantity = spoken_ms if price is not None and price.unit is Unit.MS else characters
    return _bill(price, quantity, price.charge(quantity) if price else None)


def _bill(price: Price | None, quantity: int, amount_micro: int | None) -> Bill:
    if price is None:
        return Bill(quantity, Unit.CHARACTER, None, None, "USD")
    written = f"{price.amount} {price.currency} a {price.per} ({price.source}, {price.date})"
    return Bill(quantity, price.unit, written, amount_micro, price.currency)


def transcription_price(context: AppContext, settings: JobSettings) -> Price | None:
    """Return what the job's model costs, or None where that is unknown."""
    return context.prices.find(settings.provider, settings.model)


def check_affordable(context: AppContext, job: Job, recording: Recording, duration_ms: int) -> None:
    """Refuse a job that has spent nothing yet and is expected to cost more than there is room for.

    One that has spent something goes on as far as its budget allows: what it has is worth having.

    Raises:
        BudgetError: the job's own budget, the run's, the month's or the tag's has no room, or no budget can
            be kept since the price is unknown.
    """
    spent = context.reports.spending([job.id])
    if spent.actual_micro + spent.possible_micro:
        return
    settings = JobSettings.from_dict(job.settings)
    due = _due(context, job, settings, recording.sha256) or _Due.of_all(settings, duration_ms)
    bills = [
        (settings.model, _hearing(context, settings, due)),
        (settings.translator, _translating(context, settings, due)),
    ]
    bills = [(model, bill) for model, bill in bills if bill.quantity]
    if not bills:
        return
    # What nobody can hold against a budget is refused, in its own name.
    model, bill = min(bills, key=lambda each: _is_countable(each[1]))
    if _is_countable(bill):
        bill = replace(bill, amount_micro=sum(each.amount_micro or 0 for _, each in bills))
    context.ledger.check_room(job.id, context.run_id, f"{model} at {settings.provider}", bill)


def _is_countable(bill: Bill) -> bool:
    return bill.amount_micro is not None and bill.currency == CURRENCY


def bill_of_audio(price: Price | None, quantity_ms: int, amount_micro: int | None) -> Bill:
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


def _due(context: AppContext, job: Job, settings: JobSettings, sha256: str) -> _Due | None:
    """Return what of a recording has no answer yet; None where nobody has cut it so before."""
    plan = context.catalog.find_plan(sha256, job.plan_hash)
    if plan is None:
        return None
    keys = CacheKeys(settings, sha256)
    keyed = [(keys.of(cut), cut) for cut in plan.segments]
    sent = {cache_key: Excerpt(cut.spans).duration_ms for cache_key, cut in keyed if cut.speech}
    answered = context.ledger.answered(sent)
    heard = [sent[cache_key] for cache_key in untranslated(context, settings, answered)]
    unheard = [ms for cache_key, ms in sent.items() if cache_key not in answered]
    if settings.translator is None:
        return _Due(sum(unheard) * settings.calls_a_segment + sum(heard))
    return _Due(sum(unheard), sum(unheard) + sum(heard), len(unheard) + len(heard))


def _hearing(context: AppContext, settings: JobSettings, due: _Due) -> Bill:
    price = transcription_price(context, settings)
    return bill_of_audio(price, due.sound_ms, price.reserve(due.sound_ms) if price else None)


def _translating(context: AppContext, settings: JobSettings, due: _Due) -> Bill:
    """Return what is reserved for translations by chat, in all."""
    name = settings.translator
    if name is None or not due.chat_ms:
        return Bill(0, Unit.TOKEN, None, 0, CURRENCY)
    price = context.prices.find(settings.provider, name)
    tokens = most_tokens(due.chat_ms, due.chat_segments, context.chat_models.get(name))
    return bill_of_tokens(price, tokens, price.reserve_tokens(tokens) if price else None)
