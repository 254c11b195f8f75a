"""Account for the whole duration: speech, silence, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Kind, Region, Stretch


def cover(duration_ms: int, speech: Iterable[Region], missing: Iterable[Region]) -> tuple[Stretch, ...]:
    """Account for ``0..duration_ms``: missing where missing, else speech where speech, else silence.

    Args:
        duration_ms: the whole duration.
        speech: regions of speech; in any order, may overlap.
        missing: what could not be transcribed; wins over speech.

    Returns:
        Stretches in order, without gap or overlap, neighbours of different kinds.
    """
    missed = _merged(missing, duration_ms)
    spoken = _subtract(_merged(speech, duration_ms), missed)
    marked = sorted(
        [(region, Kind.MISSING) for region in missed] + [(region, Kind.SPEECH) for region in spoken],
        key=lambda pair: pair[0].start_ms,
    )
    stretches: list[Stretch] = []
    position = 0
    for region, kind in marked:
        if region.start_ms > position:
            stretches.append(Stretch(position, region.start_ms, Kind.SILENCE))
        stretches.append(Stretch(region.start_ms, region.end_ms, kind))
        position = region.end_ms
    if position < duration_ms:
        stretches.append(Stretch(position, duration_ms, Kind.SILENCE))
    return tuple(stretches)


def missing_mark(stretch: Stretch) -> str:
    """Write the mark that stands in every artifact for a missing stretch, in whole seconds outward."""
    return f"[missing {clock(stretch.start_ms)}-{clock(stretch.end_ms + 999)}]"


def _merged(regions: Iterable[Region], duration_ms: int) -> list[Region]:
    """Order, clip to the duration, and join what touches."""
    merged: list[Region] = []
    for region in sorted(regions, key=lambda region: region.start_ms):
        start, end = max(0, region.start_ms), min(duration_ms, region.end_ms)
        if start >= end:
            continue
        if merged and start <= merged[-1].end_ms:
            merged[-1] = Region(merged[-1].start_ms, max(merged[-1].end_ms, end))
        else:
            merged.append(Region(start, end))
    return merged


def _subtract(regions: Sequence[Region], holes: Sequence[Region]) -> list[Region]:
    left = list(regions)
    for hole in holes:
        left = [piece for region in left for piece in _without(region, hole)]
    return left


def _without(region: Region, hole: Region) -> list[Region]:
    before = Region(region.start_ms, min(region.end_ms, hole.start_ms))
    after = Region(max(region.start_ms, hole.end_ms), region.end_ms)
    return [piece for piece in (before, after) if piece.start_ms < piece.end_ms]
