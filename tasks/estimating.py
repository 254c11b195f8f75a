"""Estimating a source: how long, how many segments, at what price; nothing is decoded or sent."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.affording import price_of
from tasks.intake import check_length, choose_stream
from tasks.job_settings import JobSettings
from tasks.media.probe import probe
from tasks.sources import Source, fetch
from tasks.tracks import check_speakers, tracks_of
from tasks.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a source would be.

    Attributes:
        segments: about how many; cuts go where the pauses are.
        price: as the price book has it; None where it is unknown.
        segment_micro: what a segment of mean length costs, in micro-units.
        cost_micro: what the whole costs at most, were it speech throughout.
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


def estimate_source(workshop: Workshop, source: Source, settings: JobSettings) -> Estimate:
    """Estimate one source.

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
    price = price_of(workshop, settings)
    return Estimate(
        source,
        stream.demuxed_end_ms,
        segments,
        settings.provider,
        settings.model,
        f"{price.amount} {price.currency} a {price.per}" if price else None,
        price.charge(round(length_ms * tracks / segments)) if price else None,
        price.charge(length_ms * tracks) if price else None,
        price.currency if price else "USD",
    )
