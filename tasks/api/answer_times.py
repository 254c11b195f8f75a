"""The times of an answer: those that can be true are used, and one that cannot spoils no other. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from stenoflow.tasks.api.types import LONGEST_S, seconds
from stenoflow.tasks.transcript.types import Region

# Servers round, and encoders pad: up to here a time is brought back rather than left out.
_TOLERANCE_MS = 1_000
# Whisper hears in windows of 30 s, and ends its last utterance at the window's end.
_WINDOW_MS = 30_000

AnswerEntry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of words or utterances, in the order of speech.

    Attributes:
        regions: one an entry, inside the segment, starts in order; None for an entry without a time that
            can be true. Empty where the server has no times to give, or too few of them can be true.
        are_odd: some that were given cannot be true.
        in_order: they follow each other as they were given.
    """

    regions: tuple[Region | None, ...] = ()
    are_odd: bool = False
    in_order: bool = True

    def filled(self, texts: Sequence[str], duration_ms: int) -> Iterator[Region]:
        """Yield a region an entry; those without share the time between their neighbours, by their length."""
        known = [at for at, region in enumerate(self.regions) if region is not None]
        for before, after in pairwise([-1, *known, len(self.regions)]):
            earlier = self.regions[before] if before >= 0 else None
            later = self.regions[after] if after < len(self.regions) else None
            start_ms = 0 if earlier is None else earlier.end_ms
            end_ms = max(start_ms, duration_ms if later is None else later.start_ms)
            yield from _shared(texts[before + 1 : after], start_ms, end_ms)
            if later is not None:
                yield later


def read_times(entries: Sequence[AnswerEntry], duration_ms: int) -> Times:
    """Read ``start`` and ``end`` of each entry.

    A time is odd that is not finite, lies outside the segment, ends before it starts, or goes backward. Of
    those that go backward the fewest are left out.

    Args:
        entries: words or utterances, in the order of speech.
        duration_ms: how long the segment is.
    """
    given = [_given(entry) for entry in entries]
    spans = [None if times is None else _span(*times, duration_ms) for times in given]
    sound = [at for at, span in enumerate(spans) if span is not None]
    kept = sound if _follow(spans, sound) else _longest_in_order(spans, sound)
    are_odd = len(kept) < sum(times is not None for times in given)
    in_order = len(kept) == len(sound)
    if 2 * len(kept) <= len(entries):
        return Times((), are_odd, in_order)
    regions: list[Region | None] = [None] * len(entries)
    earliest_ms = 0
    for at in kept:
        start_ms, end_ms = spans[at] or (0, 0)
        start_ms = min(max(start_ms, earliest_ms), duration_ms)
        regions[at] = Region(start_ms, min(max(end_ms, start_ms), duration_ms))
        earliest_ms = start_ms
    # Nothing but zeros is what a server says that has no times.
    has_times = any(region is not None and region.end_ms for region in regions)
    return Times(tuple(regions) if has_times else (), are_odd, in_order)


def by_start(
    entries: Sequence[AnswerEntry], times: Times, duration_ms: int
) -> tuple[Sequence[AnswerEntry], Times]:
    """Return entries in the order of their starts, with their times, which stay odd.

    Where one of them has no time that can be true, nobody knows its place: they stay as they are.
    """
    starts = [_start(entry, duration_ms) for entry in entries]
    if None in starts:
        return entries, times
    ordered = [entries[at] for at in sorted(range(len(entries)), key=lambda at: starts[at] or 0)]
    return ordered, Times(read_times(ordered, duration_ms).regions, are_odd=True)


def _start(entry: AnswerEntry, duration_ms: int) -> int | None:
    given = _given(entry)
    span = None if given is None else _span(*given, duration_ms)
    return None if span is None else span[0]


def _given(entry: AnswerEntry) -> tuple[float, float] | None:
    start, end = seconds(entry.get("start")), seconds(entry.get("end"))
    return None if start is None or end is None else (start, end)


def _span(start: float, end: float, duration_ms: int) -> tuple[int, int] | None:
    """Return a time in ms; None where it cannot be one of a segment of that length."""
    # False for NaN too; a finite 1e308 would overflow as milliseconds.
    if not (abs(start) < LONGEST_S and abs(end) < LONGEST_S):
        return None
    start_ms, end_ms = round(start * 1_000), round(end * 1_000)
    is_inside = start_ms <= duration_ms + _TOLERANCE_MS and end_ms <= duration_ms + _WINDOW_MS
    is_forward = -_TOLERANCE_MS <= start_ms <= end_ms + _TOLERANCE_MS
    return (start_ms, end_ms) if is_inside and is_forward else None


def _follow(spans: Sequence[tuple[int, int] | None], places: Sequence[int]) -> bool:
    """Tell whether no span begins clearly before an earlier one."""
    latest_ms = 0
    for at in places:
        start_ms, _ = spans[at] or (0, 0)
        if start_ms < latest_ms - _TOLERANCE_MS:
            return False
        latest_ms = max(latest_ms, start_ms)
    return True


def _longest_in_order(spans: Sequence[tuple[int, int] | None], places: Sequence[int]) -> list[int]:
    """Return the places of the longest row of spans whose starts never go back."""
    lasts: list[int] = []  # The place that ends the best row of each length.
    starts: list[int] = []  # Their starts, which are in order.
    before: dict[int, int | None] = {}
    for at in places:
        start_ms, _ = spans[at] or (0, 0)
        length = bisect_right(starts, start_ms)
        before[at] = lasts[length - 1] if length else None
        lasts[length:] = [at, *lasts[length + 1 :]]
        starts[length:] = [start_ms, *starts[length + 1 :]]
    row: list[int] = []
    place = lasts[-1] if lasts else None
    while place is not None:
        row.append(place)
        place = before[place]
    return row[::-1]


def _shared(texts: Sequence[str], start_ms: int, end_ms: int) -> Iterator[Region]:
    total, position = sum(len(text) + 1 for text in texts), 0
    for text in texts:
        begin = start_ms + (end_ms - start_ms) * position // total
        position += len(text) + 1
        yield Region(begin, start_ms + (end_ms - start_ms) * position // total)
