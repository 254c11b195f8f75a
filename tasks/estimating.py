"""Estimating a source: how long, how many segments, at what price; nothing is decoded or sent."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.affording import price_of
from tasks.digest.pricing import DigestEstimate, estimate_digest
from tasks.digest.work import too_small
from tasks.intake import check_length, choose_stream
from tasks.job_settings import JobSettings
from tasks.media.probe import probe
from tasks.minutes.planning import NoRoomError
from tasks.sources import Source, fetch
from tasks.speakers.tracks import check_speakers, tracks_of
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
    return Estimate(
        source,
        stream.demuxed_end_ms,
        segments,
        settings.provider,
        settings.model,
        f"{price.amount} {price.currency} a {price.per}" if price else None,
        price.charge(round(length_ms / segments)) * times if price else None,
        price.charge(length_ms) * times if price else None,
        price.currency if price else "USD",
        None if chat_model is None else _digest(workshop, length_ms, settings.provider, chat_model),
    )


def _digest(workshop: Workshop, length_ms: int, provider: str, name: str) -> DigestEstimate:
    price = workshop.prices.find(provider, name)
    try:
        return estimate_digest(length_ms, provider, name, workshop.chat_models.get(name), price)
    except NoRoomError as error:
        raise too_small(name, error) from error
