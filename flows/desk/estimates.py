"""Estimates for the desk's buttons: what each would cost, told before it is pressed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stenoflow.storage.database.charges import CURRENCY, Bill
from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.chat_models import ContextTooSmallError
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.artifacts.minutes import render_spoken
from stenoflow.tasks.billing.prices import Price
from stenoflow.tasks.calls.bills import bill_speech
from stenoflow.tasks.calls.chosen_models import chat_model
from stenoflow.tasks.calls.provider import provider_name
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.budget import estimate_minutes
from stenoflow.tasks.jobs.minutes.plan import expected_bills as bills_of_minutes
from stenoflow.tasks.jobs.minutes.plan import plan_of_minutes
from stenoflow.tasks.jobs.minutes.questions import too_small
from stenoflow.tasks.jobs.speak.plan import expected_bills as bills_of_speech
from stenoflow.tasks.jobs.speak.plan import text_of
from stenoflow.tasks.jobs.speak.settings import SpeechSettings, VoiceOptions, speech_settings
from stenoflow.tasks.jobs.transcribe.prepare import content_of, expected_bills
from stenoflow.tasks.jobs.transcribe.publish import document_of
from stenoflow.tasks.jobs.transcribe.request import translated
from stenoflow.tasks.jobs.translate.plan import estimate_translation

# Minutes read aloud are a page of text; a voice says 15 characters a second.
_CHARACTERS = 3_000
_MS_A_CHARACTER = 67


@dataclass(frozen=True, slots=True)
class Cost:
    """What something would cost.

    Attributes:
        model: who is paid for it.
        micro: in micro-units of ``currency``; None: the price is unknown.
        is_most: it cannot be more; False: it is about so much.
    """

    model: str
    micro: int | None
    currency: str = CURRENCY
    is_most: bool = False


def cost_of_resuming(context: AppContext, job: Job) -> Cost | None:
    """Return what is left to be paid for a job at most; None: that is not known before it goes on.

    Raises:
        StenoflowError: it cannot go on.
    """
    left = _left_of(context, job)
    if left is None:
        return None
    bills = list(left)
    known = [bill.amount_micro for _, bill in bills if bill.amount_micro is not None]
    models = ", ".join(dict.fromkeys(target.model for target, _ in bills))
    currency = next((bill.currency for _, bill in bills), CURRENCY)
    return Cost(models, sum(known) if len(known) == len(bills) else None, currency, is_most=True)


def _left_of(context: AppContext, job: Job) -> Iterator[tuple[Target, Bill]] | None:
    if job.kind == JobKind.MINUTES:
        return bills_of_minutes(context, plan_of_minutes(context, job))
    if job.kind == JobKind.SPEAK:
        return bills_of_speech(context, text_of(context, job), SpeechSettings.from_dict(job.settings))
    recording = context.catalog.recording(job.recording_id)
    sha256 = content_of(recording)
    if job.kind != JobKind.TRANSCRIBE or sha256 is None or recording.duration_ms is None:
        return None
    return expected_bills(context, job, sha256, recording.duration_ms)


def cost_of_minutes(context: AppContext, job: Job) -> Cost:
    """Return about what minutes of a transcript cost. Raises SettingsError where nobody can make them."""
    model = chat_model(context.settings)
    provider = provider_name(context.settings, ModelKind.CHAT)
    price = context.prices.find(provider, model)
    try:
        estimate = estimate_minutes(
            _length_ms(context, job), provider, model, context.chat_models.get(model), price
        )
    except ContextTooSmallError as error:
        raise too_small(model, error) from error
    return Cost(model, estimate.cost_micro, _currency(price))


def cost_of_reading(context: AppContext, job: Job) -> tuple[Cost | None, Cost]:
    """Return about what it costs to have minutes read aloud: to make them, if they are not there, and that.

    Raises:
        SettingsError: nobody can do one of them.
    """
    spoken = voice_settings(context, "")
    made = document_of(context, job, context.catalog.segments(job.id)).minutes
    writer = f"{chat_model(context.settings)} at {provider_name(context.settings, ModelKind.CHAT)}"
    minutes = made if made is not None and made.model == writer else None
    characters = _CHARACTERS if minutes is None else len(render_spoken(minutes))
    price = context.prices.find(spoken.provider, spoken.model)
    bill = bill_speech(price, characters, round(characters * _MS_A_CHARACTER / spoken.speed))
    reading = Cost(spoken.model, bill.amount_micro, bill.currency)
    return cost_of_minutes(context, job) if minutes is None else None, reading


def cost_of_translation(context: AppContext, job: Job) -> Cost:
    """Return about what the translation of a transcript costs. Raises SettingsError: nobody translates."""
    settings = translated(context, job).settings
    length_ms = _length_ms(context, job)
    if settings.translator is None:
        price = context.prices.find(settings.provider, settings.model)
        return Cost(settings.model, None if price is None else price.reserve(length_ms), _currency(price))
    target = Target(settings.chat_provider, settings.translator)
    price = context.prices.find(target.provider, target.model)
    segments = max(1, len(context.catalog.segments(job.id)))
    model = context.chat_models.get(settings.translator)
    estimate = estimate_translation(length_ms, segments, target, model, price)
    return Cost(settings.translator, estimate.cost_micro, _currency(price))


def voice_settings(context: AppContext, voice: str) -> SpeechSettings:
    """Return what would read minutes aloud. Raises SettingsError where there is no such voice."""
    return speech_settings(context.settings, context.speech_models, VoiceOptions(voice=voice or None))


def _length_ms(context: AppContext, job: Job) -> int:
    return context.catalog.recording(job.recording_id).duration_ms or 0


def _currency(price: Price | None) -> str:
    return CURRENCY if price is None else price.currency
