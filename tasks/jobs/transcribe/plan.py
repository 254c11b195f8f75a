"""Estimate a recording: what its job would be, and what it would cost."""

from __future__ import annotations

from dataclasses import dataclass

from stenoflow.storage.database.cache_keys import MOST_AGAIN
from stenoflow.tasks.api.chat_models import ContextTooSmallError
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.billing.prices import Price
from stenoflow.tasks.calls.failover import Candidate
from stenoflow.tasks.calls.provider import provider_name
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.budget import MinutesEstimate, estimate_minutes
from stenoflow.tasks.jobs.minutes.questions import too_small
from stenoflow.tasks.jobs.transcribe.prepare import check_length, check_speakers, choose_stream, tracks_of
from stenoflow.tasks.jobs.translate.plan import TranslationEstimate, estimate_translation
from stenoflow.tasks.media.probe import probe
from stenoflow.tasks.sources import Source, fetch


@dataclass(frozen=True, slots=True)
class OtherEstimate:
    """What a source would cost if another provider did all of it."""

    provider: str
    model: str
    price: str | None
    cost_micro: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a source would be.

    Attributes:
        segments: about how many; cuts go where the pauses are.
        price: as the price book has it; None where it is unknown.
        segment_micro: what a segment of mean length costs at most, in micro-units.
        cost_micro: what the whole costs at most, were it speech throughout, each call by itself; with its
            translation, if it is to be translated and in another language than English.
        most_micro: the same if every segment had to be asked for again as often as it may be, at the dearest
            provider; None where a price is unknown.
        translation: about what a translation by chat takes, which ``cost_micro`` counts; None: there is none.
        digest: about what minutes of it take besides; None: none are asked for.
        others: who is asked for what the provider cannot, in order.
    """

    source: Source
    duration_ms: int
    segments: int
    provider: str
    model: str
    price: str | None
    segment_micro: int | None
    cost_micro: int | None
    most_micro: int | None
    currency: str
    translation: TranslationEstimate | None = None
    digest: MinutesEstimate | None = None
    others: tuple[OtherEstimate, ...] = ()


def estimate_source(
    context: AppContext, source: Source, settings: JobSettings, chat_model: str | None = None
) -> Estimate:
    """Estimate one source.

    Args:
        context: the tools.
        source: where it is.
        settings: how it would be transcribed.
        chat_model: what would write minutes of it; None: nothing.

    Raises:
        RefusedError: it would be refused.
    """
    fetched = fetch(source, context.settings.work / "sources", context.s3)
    stream = choose_stream(probe(fetched.path), settings.stream, source.name)
    check_length(context, stream, source.name)
    length_ms = stream.demuxed_end_ms - stream.origin_ms
    check_speakers(settings, (), stream, source.name)
    tracks = tracks_of(settings, stream)
    segments = tracks * max(1, round(length_ms / settings.target_ms))
    asked = Candidate.chain(settings.provider, settings.model, settings.others)
    price, *other_prices = (context.prices.find(each.provider, each.model) for each in asked)
    translation = _translation(context, settings, tracks * length_ms, segments)
    mean_ms = -(-tracks * length_ms // segments)
    calls = [None if each is None else each.reserve(mean_ms) for each in (price, *other_prices)]
    segment_micro = _times(calls[0], settings.calls_a_segment)
    is_alike = None not in calls and len({each.currency for each in (price, *other_prices) if each}) == 1
    dearest = max(each or 0 for each in calls) if is_alike else None
    most_micro = _times(dearest, settings.calls_a_segment + MOST_AGAIN)
    return Estimate(
        source,
        stream.demuxed_end_ms,
        segments,
        settings.provider,
        settings.model,
        _written(price),
        _with(translation, segment_micro, segments),
        _with(translation, _times(segment_micro, segments)),
        _with(translation, _times(most_micro, segments)),
        price.currency if price else "USD",
        translation,
        None if chat_model is None else _digest(context, length_ms, chat_model),
        tuple(
            OtherEstimate(
                each.provider,
                each.model,
                _written(other),
                _times(call_micro, settings.calls_a_segment * segments),
                other.currency if other else "USD",
            )
            for each, other, call_micro in zip(asked[1:], other_prices, calls[1:], strict=True)
        ),
    )


def _times(micro: int | None, times: int) -> int | None:
    return None if micro is None else micro * times


def _written(price: Price | None) -> str | None:
    return f"{price.amount} {price.currency} a {price.per}" if price else None


def _translation(
    context: AppContext, settings: JobSettings, spoken_ms: int, segments: int
) -> TranslationEstimate | None:
    name = settings.translator
    if name is None:
        return None
    price = context.prices.find(settings.chat_provider, name)
    model = context.chat_models.get(name)
    return estimate_translation(spoken_ms, segments, Target(settings.chat_provider, name), model, price)


def _with(translation: TranslationEstimate | None, micro: int | None, parts: int = 1) -> int | None:
    """Add one of so many parts of a translation's cost; unknown where either is."""
    if translation is None or micro is None:
        return micro
    return None if translation.cost_micro is None else micro + round(translation.cost_micro / parts)


def _digest(context: AppContext, length_ms: int, name: str) -> MinutesEstimate:
    provider = provider_name(context.settings, ModelKind.CHAT)
    price = context.prices.find(provider, name)
    try:
        return estimate_minutes(length_ms, provider, name, context.chat_models.get(name), price)
    except ContextTooSmallError as error:
        raise too_small(name, error) from error
