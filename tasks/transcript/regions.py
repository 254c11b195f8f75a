"""Regions of speech: found by level, what of a segment is sent, and the map between sent and source times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from stenoflow.tasks.transcript.timecode import ms_to_samples, samples_to_ms
from stenoflow.tasks.transcript.types import Region, Word

FRAME_MS = 10

INAUDIBLE_DB = -75.0
"""Below this nothing is audible at any playing volume: 16 bits have about 6 steps left."""

LOWEST_FLOOR_DB = -70.0
"""Digital silence is -100 dB; it must not pull the floor under the room's own noise."""

QUIET_STEADY_DB = -60.0
"""Where levels do not vary, level alone has to decide: a steady sound below this is silence."""

SHORTEST_SENT_MS = 100
"""The API refuses what is shorter, and no word is."""

_STEADY_RANGE_DB = 6.0
# Stops inside words are shorter than this; a gap of this length separates nothing.
_JOIN_GAP_FRAMES = 30
# Consonants fade in and out under the threshold.
_PAD_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a stretch is: its floor, its top, and the level above which it counts as speech (dBFS)."""

    floor_db: float
    top_db: float

    @property
    def range_db(self) -> float:
        """Top minus floor."""
        return self.top_db - self.floor_db

    @property
    def threshold_db(self) -> float:
        """The level above which a frame counts as speech."""
        if self.range_db < _STEADY_RANGE_DB:
            return QUIET_STEADY_DB
        return max(INAUDIBLE_DB, self.floor_db + 0.25 * self.range_db)


def loudness(levels: Sequence[float]) -> Loudness:
    """Measure a stretch (``levels``: dBFS, one per 10 ms, not empty)."""
    ordered = sorted(levels)
    last = len(ordered) - 1
    floor = max(LOWEST_FLOOR_DB, ordered[last * 5 // 100])
    return Loudness(floor, max(floor, ordered[last * 95 // 100]))


def find_regions(levels: Sequence[float]) -> list[Region]:
    """Find the stretches in which someone may be speaking.

    Args:
        levels: dBFS, one per 10 ms.

    Returns:
        Regions in ms from the first level, in order, at least 300 ms apart; empty for silence.
    """
    if not levels:
        return []
    threshold = _speech_threshold(levels)
    loud = [index for index, level in enumerate(levels) if level > threshold]
    if not loud:
        return []
    breaks = [(a, b) for a, b in pairwise(loud) if b - a > _JOIN_GAP_FRAMES + 2 * _PAD_FRAMES]
    starts = [loud[0], *(b for _, b in breaks)]
    ends = [*(a for a, _ in breaks), loud[-1]]
    return [
        Region(
            max(0, start - _PAD_FRAMES) * FRAME_MS,
            min(len(levels), end + 1 + _PAD_FRAMES) * FRAME_MS,
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _speech_threshold(levels: Sequence[float]) -> float:
    measured = loudness(levels)
    if measured.range_db < _STEADY_RANGE_DB and max(levels) > measured.top_db + 2 * _STEADY_RANGE_DB:
        # Less than a twentieth of the stretch is loud: a few words in a long quiet.
        return measured.top_db + _STEADY_RANGE_DB
    return measured.threshold_db


LONG_SILENCE_MS = 3_000
"""Silence up to this is sent with the speech round it."""

_MARGIN_FRAMES = 50
_LONG_FRAMES = LONG_SILENCE_MS // FRAME_MS
_SECOND = 100
# Noise of rooms stays this near its floor; a syllable stands out by more.
_NEAR_FLOOR_DB = 6.0
# With less range, nothing tells what is speech and what is noise.
_CONTRAST_DB = 15.0
# Speech of this length still sets the top after any length of quiet.
_HEARD_FRAMES = 1_000


@dataclass(slots=True)
class LevelHistogram:
    """Counts of all levels of a recording so far, in whole decibels."""

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


def stretches_to_send(levels: Sequence[float], history: Loudness) -> list[Region]:
    """Return what is to be sent of a segment: all but its long silences.

    Args:
        levels: dBFS, one per 10 ms.
        history: levels of the recording so far, these included.

    Returns:
        Regions in ms from the first level, in order and apart; none if all is silence.
    """
    left_out = [_within(run, len(levels)) for run in _long_silences(levels, _ceiling_db(history))]
    edges = [0, *(edge for run in left_out for edge in run), len(levels)]
    return [
        Region(start * FRAME_MS, end * FRAME_MS)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if start < end
    ]


def _ceiling_db(history: Loudness) -> float:
    """Return the level above which nothing is silence."""
    if history.range_db < _CONTRAST_DB:
        return QUIET_STEADY_DB
    return max(INAUDIBLE_DB, history.floor_db + _NEAR_FLOOR_DB)


def _within(run: tuple[int, int], frames: int) -> tuple[int, int]:
    """Keep a margin, but none at the edges of the segment."""
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


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Spans of a recording that are sent joined, without what lies between them.

    Attributes:
        spans: (first sample, one past the last) in the linear decode; in order, apart, none empty.
    """

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of_regions(cls, regions: Iterable[Region], start_sample: int, end_sample: int) -> Self:
        """Make one of regions (ms from ``start_sample``), clipped at ``end_sample``."""
        spans = (
            (start_sample + ms_to_samples(region.start_ms), start_sample + ms_to_samples(region.end_ms))
            for region in regions
        )
        return cls(tuple((first, min(end, end_sample)) for first, end in spans if first < end_sample))

    @property
    def samples(self) -> int:
        """How many samples are sent."""
        return sum(end - first for first, end in self.spans)

    @property
    def duration_ms(self) -> int:
        """How long the joined sound is."""
        return samples_to_ms(self.samples)

    @property
    def is_too_short(self) -> bool:
        """Whether the API would refuse it."""
        return self.samples < ms_to_samples(SHORTEST_SENT_MS)

    def clipped(self, regions: Iterable[Region], start_sample: int) -> list[Region]:
        """Leave out of regions (ms from ``start_sample``) what is not sent."""
        inside = self._inside(regions, start_sample)
        return [_region(first - start_sample, end - start_sample) for first, end, _ in inside]

    def joined(self, regions: Iterable[Region], start_sample: int) -> list[Region]:
        """Bring regions of the recording (ms from ``start_sample``) to the joined sound's time."""
        inside = self._inside(regions, start_sample)
        return [_region(first + shift, end + shift) for first, end, shift in inside]

    def part(self, region: Region) -> tuple[tuple[int, int], ...]:
        """Return where in the recording a region of the joined sound is, as spans."""
        begin, finish = ms_to_samples(region.start_ms), ms_to_samples(region.end_ms)
        return tuple(
            (first + max(0, begin - offset), min(end, first + finish - offset))
            for offset, (first, end) in self._placed()
            if max(begin, offset) < min(finish, offset + end - first)
        )

    def on_timeline(self, words: Sequence[Word], origin_ms: int) -> list[Word]:
        """Bring words of the joined sound to the recording's timeline.

        A word stays in one span, that of its middle: an engine's times may reach a little into the next.

        Args:
            words: times in ms from the start of the joined sound.
            origin_ms: where the recording's first sample lies on its timeline.
        """
        return [self._on_timeline(word, origin_ms) for word in words]

    def _inside(self, regions: Iterable[Region], start_sample: int) -> Iterator[tuple[int, int, int]]:
        """Yield (first, end) of what of the regions is sent, and how far that moves when it is joined."""
        for region in regions:
            begin = start_sample + ms_to_samples(region.start_ms)
            finish = start_sample + ms_to_samples(region.end_ms)
            for offset, (first, end) in self._placed():
                if max(begin, first) < min(finish, end):
                    yield max(begin, first), min(finish, end), offset - first

    def _on_timeline(self, word: Word, origin_ms: int) -> Word:
        middle = ms_to_samples(word.start_ms + word.end_ms) // 2
        offset, (first, end) = next(
            (place for place in self._placed() if middle < place[0] + place[1][1] - place[1][0]),
            self._placed()[-1],
        )
        shift_ms = origin_ms + samples_to_ms(first) - samples_to_ms(offset)
        low_ms, high_ms = origin_ms + samples_to_ms(first), origin_ms + samples_to_ms(end)
        start_ms = min(max(low_ms, word.start_ms + shift_ms), high_ms)
        return Word(word.text, start_ms, max(start_ms, min(high_ms, word.end_ms + shift_ms)), word.confidence)

    def _placed(self) -> list[tuple[int, tuple[int, int]]]:
        """Return each span with the sample of the joined sound at which it begins."""
        offsets = []
        offset = 0
        for first, end in self.spans:
            offsets.append((offset, (first, end)))
            offset += end - first
        return offsets


def _region(first: int, end: int) -> Region:
    return Region(samples_to_ms(first), samples_to_ms(end))
