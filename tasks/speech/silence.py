"""Which stretches are silence beyond doubt, and so are neither sent nor paid for.

Losing a word is worse than paying for a pause, so the rule is a narrow one. A frame is quiet if it is
inaudible, or if it is both near the floor of all that was heard so far (which a loud, steady sound is not)
and near the floor of its own two seconds (which the syllables of a soft voice are not). Only what is
quiet for longer than pauses in speech are is left out, and half a second is kept on either side.

Levels are those of where speech is (`tasks.media.energy.speech_levels`): of the whole sound, the low noise of
rooms rises and falls too much for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tasks.speech.regions import FRAME_MS, INAUDIBLE_DB, LOWEST_FLOOR_DB, QUIET_STEADY_DB, Loudness
from tasks.speech.words import Region

LONG_SILENCE_MS = 3_000
"""Silence up to this is sent with the speech round it."""

_MARGIN_FRAMES = 50
_LONG_FRAMES = LONG_SILENCE_MS // FRAME_MS
_SECOND = 100
# Noise of rooms stays this near its floor; a syllable stands out by more.
_NEAR_FLOOR_DB = 6.0
# With less range, nothing tells what is speech and what is noise.
_CONTRAST_DB = 15.0
# What was heard for so long stays heard, however long the quiet behind it.
_HEARD_FRAMES = 1_000


@dataclass(slots=True)
class Listened:
    """How loud everything was so far, in whole decibels."""

    _counts: Counter[int] = field(default_factory=Counter)

    def add(self, levels: Sequence[float]) -> None:
        """Take further levels (dBFS, one per 10 ms)."""
        self._counts.update(map(round, levels))

    def loudness(self) -> Loudness:
        """Measure all of it; silence, if there is nothing yet."""
        total = self._counts.total()
        floor = self._level_at(total * 5 // 100)
        top = self._level_at(max(total * 95 // 100, total - _HEARD_FRAMES))
        floor = max(LOWEST_FLOOR_DB, floor)
        return Loudness(floor, max(floor, top))

    def voice_db(self) -> float:
        """Return the level that was reached for a second in all: how loud it is when somebody speaks."""
        return self._level_at(self._counts.total() - _SECOND)

    def _level_at(self, rank: int) -> float:
        seen = 0
        for level in sorted(self._counts):
            seen += self._counts[level]
            if seen > rank:
                return float(level)
        return LOWEST_FLOOR_DB


def stretches_to_send(levels: Sequence[float], listened: Loudness) -> list[Region]:
    """Return what is to be sent of a segment: all but its long silences.

    Args:
        levels: dBFS, one per 10 ms.
        listened: how loud the recording was so far, these levels included.

    Returns:
        Regions in ms from the first level, in order and apart; none if all is silence.
    """
    left_out = [_within(run, len(levels)) for run in _long_silences(levels, _ceiling_db(listened))]
    edges = [0, *(edge for run in left_out for edge in run), len(levels)]
    return [
        Region(start * FRAME_MS, end * FRAME_MS)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if start < end
    ]


def _ceiling_db(listened: Loudness) -> float:
    """Return the level above which nothing is silence."""
    if listened.range_db < _CONTRAST_DB:
        return QUIET_STEADY_DB
    return max(INAUDIBLE_DB, listened.floor_db + _NEAR_FLOOR_DB)


def _within(run: tuple[int, int], frames: int) -> tuple[int, int]:
    """Keep a margin, but none at an edge of the segment beyond which nobody speaks in it."""
    start, end = run
    return start + (_MARGIN_FRAMES if start else 0), end - (_MARGIN_FRAMES if end < frames else 0)


def _long_silences(levels: Sequence[float], ceiling_db: float) -> Iterator[tuple[int, int]]:
    for start, end in _runs(levels, ceiling_db):
        if end - start >= _LONG_FRAMES:
            yield from _steady_parts(levels, start, end)


def _steady_parts(levels: Sequence[float], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a run where something stands out of its own neighbourhood."""
    floors = [min(levels[first : min(first + _SECOND, end)]) for first in range(start, end, _SECOND)]
    around = [min(floors[max(0, index - 1) : index + 2]) for index in range(len(floors))]
    loud = [
        start + index
        for index, level in enumerate(levels[start:end])
        if level > INAUDIBLE_DB and level > around[index // _SECOND] + _NEAR_FLOOR_DB
    ]
    for before, after in pairwise([start - 1, *loud, end]):
        if after - before - 1 >= _LONG_FRAMES:
            yield before + 1, after


def _runs(levels: Sequence[float], ceiling_db: float) -> Iterator[tuple[int, int]]:
    start = None
    for index, level in enumerate(levels):
        if level > ceiling_db:
            if start is not None:
                yield start, index
            start = None
        elif start is None:
            start = index
    if start is not None:
        yield start, len(levels)
