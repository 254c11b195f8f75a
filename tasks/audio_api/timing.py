"""Reading the times of an answer, and refusing those that cannot be true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.audio_api.lenient import LONGEST_S, seconds
from tasks.speech.words import Region

# Servers round, and encoders pad: up to here a time is brought back rather than refused.
_TOLERANCE_MS = 1_000
# Whisper hears in windows of 30 s, and ends its last utterance at the window's end.
_WINDOW_MS = 30_000


class UnbelievableError(ValueError):
    """An answer says what cannot be so; the text completes "...: "."""


def read_regions(entries: Sequence[Mapping[str, object]], duration_ms: int) -> list[Region] | None:
    """Read ``start`` and ``end`` of each entry.

    Args:
        entries: words or utterances, in the order of speech.
        duration_ms: how long the segment is.

    Returns:
        One region an entry, inside the segment, starts in order; or None where the server has no times
        to give: an entry without any, or nothing but zeros.

    Raises:
        UnbelievableError: a time is not finite, lies outside the segment, or goes backward.
    """
    regions: list[Region] = []
    for entry in entries:
        start, end = seconds(entry.get("start")), seconds(entry.get("end"))
        if start is None or end is None:
            return None
        earliest_ms = regions[-1].start_ms if regions else 0
        regions.append(_region(start, end, earliest_ms, duration_ms))
    return regions if any(region.end_ms for region in regions) else None


def _region(start: float, end: float, earliest_ms: int, duration_ms: int) -> Region:
    said = f"{start:g} s to {end:g} s"
    # False for NaN too; a finite 1e308 would overflow as milliseconds.
    if not (abs(start) < LONGEST_S and abs(end) < LONGEST_S):
        raise UnbelievableError(f"a time is no moment in a recording: {said}")
    start_ms, end_ms = round(start * 1_000), round(end * 1_000)
    if end_ms < start_ms - _TOLERANCE_MS or start_ms < earliest_ms - _TOLERANCE_MS:
        raise UnbelievableError(f"times go backward: {said} after {earliest_ms / 1_000:g} s")
    if start_ms > duration_ms + _TOLERANCE_MS or end_ms > duration_ms + _WINDOW_MS:
        raise UnbelievableError(f"times outside the segment of {duration_ms / 1_000:g} s: {said}")
    start_ms = min(max(start_ms, earliest_ms), duration_ms)
    return Region(start_ms, min(max(end_ms, start_ms), duration_ms))
