"""Estimating a source: how long, how many segments, at what price; nothing is decoded or sent."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.affording import price_of
from tasks.audio_api.exchange import Target
from tasks.digest.pricing import DigestEstimate, estimate_digest
from tasks.digest.work import too_small
from tasks.intake import check_length, choose_stream
from tasks.job_settings import JobSettings
from tasks.media.probe import probe
from tasks.minutes.planning import NoRoomError
from tasks.sources import Source, fetch
from tasks.speakers.tracks import check_speakers, tracks_of
from tasks.translation.pricing import TranslationEstimate, estimate_translation
from tasks.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a source would be.

    Attributes:
        segments: about how many; cuts go where the pauses are.
        price: as the price book has it; None where it is unknown.
        segment_micro: what a segment of mean length costs, in micro-units.
        cost_micro: what the whole costs at most, were it speech throughout; with its translation, if it is to
            be translated and in another language than English.
        translation: about what a translation by chat takes, which ``cost_micro`` counts; None: there is none.
        digest: about what minutes of it take besides; None: none are asked for.
    """

    source: Source
    duration_ms: int
    segments: int
    provider: str
    model: str
    price: str | None
    segment_micro: int | None
    cost_micro: int | None
    currency: str
    translation: TranslationEstimate | None = None
    digest: DigestEstimate | None = None


def estimate_source(
    workshop: Workshop, source: Source, settings: JobSettings, chat_model: str | None = None
) -> Estimate:
    """Estimate one source.

    Args:
        workshop: the tools.
        source: where it is.
        settings: how it would be transcribed.
        chat_model: what would write minutes of it; None: nothing.

    Raises:
        RefusedError: it would be refused.
    """
    fetched = fetch(source, workshop.settings.work / "sources", workshop.s3)
    stream = choose_stream(probe(fetched.path), settings.stream, source.name)
    check_length(workshop, stream, source.name)
    length_ms = stream.demuxed_end_ms - stream.origin_ms
    check_speakers(settings, (), stream, source.name)
    tracks = tracks_of(settings, stream)
    segments = tracks * max(1, round(length_ms / settings.target_ms))
    price, times = price_of(workshop, settings), tracks * settings.calls_a_segment
    translation = _translation(workshop, settings, tracks * length_ms, segments)
    micro = [
        None if price is None else price.charge(ms) * times for ms in (round(length_ms / segments), length_ms)
    ]
    return Estimate(
        source,
        stream.demuxed_end_ms,
        segments,
        settings.provider,
        settings.model,
        f"{price.amount} {price.currency} a {price.per}" if price else None,
        _with(translation, micro[0], segments),
        _with(translation, micro[1]),
        price.currency if price else "USD",
        translation,
        None if chat_model is None else _digest(workshop, length_ms, settings.provider, chat_model),
    )


def _translation(
    workshop: Workshop, settings: JobSettings, spoken_ms: int, segments: int
) -> TranslationEstimate | None:
    name = settings.translator
    if name is None:
        return None
    price = workshop.prices.find(settings.provider, name)
    model = workshop.chat_models.get(name)
    return estimate_translation(spoken_ms, segments, Target(settings.provider, name), model, price)


def _with(translation: TranslationEstimate | None, micro: int | None, parts: int = 1) -> int | None:
    """Add one of so many parts of a translation's cost; unknown where either is."""
    if translation is None or micro is None:
        return micro
    return None if translation.cost_micro is None else micro + round(translation.cost_micro / parts)


def _digest(workshop: Workshop, length_ms: int, provider: str, name: str) -> DigestEstimate:
    price = workshop.prices.find(provider, name)
    try:
        return estimate_digest(length_ms, provider, name, workshop.chat_models.get(name), price)
    except NoRoomError as error:
        raise too_small(name, error) from error
