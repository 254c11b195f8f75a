"""Slicing the decoded sound into segments while it comes in."""

from __future__ import annotations

import mmap
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.media.levels import FRAME_SAMPLES, LevelMeter
from stenoflow.tasks.transcript.planning import Cut, CutPlanner, CutRule
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, SAMPLES_PER_MS, ms_to_samples, samples_to_ms
from stenoflow.tasks.transcript.types import Region

Samples = NDArray[np.int16]

# Half an hour, which takes memory only as it fills; a longer segment gets more.
_TAPE_SAMPLES = 30 * 60 * SAMPLE_RATE
_MINUTE = 60 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SegmentAudio:
    """The sound of one segment, with what is sent of its neighbours.

    Attributes:
        start_sample: the segment's first sample in the decode.
        end_sample: one past its last.
        sound_start: the first sample that is held: before ``start_sample`` where the cut there was forced.
        tape: 16 kHz mono, from there on: behind ``end_sample`` where the cut there was forced.
        levels: dBFS of the same, one per 10 ms.
        forced: its end may run through speech.
    """

    start_sample: int
    end_sample: int
    sound_start: int
    tape: SampleBuffer
    levels: Sequence[float]
    forced: bool

    @property
    def sound(self) -> Samples:
        """All that is held."""
        return self.tape.read(0, self.tape.size)

    @property
    def sound_end(self) -> int:
        """One past the last sample that is held."""
        return self.sound_start + self.tape.size

    def sounds(self, spans: Iterable[tuple[int, int]]) -> Iterator[Samples]:
        """Yield the samples of spans, numbered as in the decode."""
        for first, end in spans:
            yield self.tape.read(first - self.sound_start, end - self.sound_start)

    def levels_in(self, regions: Iterable[Region]) -> list[float]:
        """Return the levels of regions, in ms from the first sample that is held."""
        frames = (self.levels[each.start_ms // FRAME_MS : each.end_ms // FRAME_MS] for each in regions)
        return [level for part in frames for level in part]

    def played(self, spans: Iterable[tuple[int, int]]) -> Iterator[Samples]:
        """Yield the samples of spans, numbered as in the decode, by the minute; then they are gone."""
        for first, end in spans:
            for at in range(first, end, _MINUTE):
                yield self.tape.read(at - self.sound_start, min(end, at + _MINUTE) - self.sound_start)
                self.tape.forget(min(end, at + _MINUTE) - self.sound_start)


class SampleBuffer:
    """Samples that grow at their end, in memory of their own that goes back to the system after use.

    From the heap, blocks that come and go between others for hours would leave holes instead.

    Attributes:
        size: samples that are on it.
    """

    def __init__(self, samples: Samples | None = None) -> None:
        self.size = 0
        self._map(_TAPE_SAMPLES)
        if samples is not None:
            self.append(samples)

    def append(self, samples: Samples) -> None:
        """Add samples at the end."""
        if self.size + samples.size > self._memory.size:
            before = self.read(0, self.size)
            self._map(2 * (self.size + samples.size))
            self._memory[: self.size] = before
        self._memory[self.size : self.size + samples.size] = samples
        self.size += samples.size

    def read(self, first: int, end: int) -> Samples:
        """Return samples; they are not copied."""
        return self._memory[first : min(end, self.size)]

    def cut(self, end: int) -> None:
        """Leave out what is behind a sample."""
        self.size = min(self.size, end)

    def forget(self, end: int) -> None:
        """Give the memory of the samples before one back; they read as zeros from then on."""
        pages = 2 * end // mmap.PAGESIZE * mmap.PAGESIZE
        if pages and hasattr(mmap, "MADV_DONTNEED"):
            self._pages.madvise(mmap.MADV_DONTNEED, 0, pages)

    def _map(self, samples: int) -> None:
        self._pages = mmap.mmap(-1, 2 * samples, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory: Samples = np.frombuffer(self._pages, np.int16)


@dataclass(slots=True)
class _Held:
    """Sound that is still needed, with its levels; ``start`` is the number of its first sample."""

    start: int = 0
    tape: SampleBuffer = field(default_factory=SampleBuffer)
    levels: array[float] = field(default_factory=lambda: array("f"))

    @property
    def end(self) -> int:
        return self.start + self.tape.size

    def add(self, block: Samples, levels: Sequence[float]) -> None:
        self.tape.append(block)
        self.levels.extend(levels)

    def cut_off(self, end: int, keep_from: int) -> tuple[SampleBuffer, array[float]]:
        """Give away the sound and the levels up to ``end``, and hold what begins at ``keep_from``.

        Both are numbers of samples; ``keep_from`` lies on a frame.
        """
        dropped = (keep_from - self.start) // FRAME_SAMPLES
        rest = SampleBuffer(self.tape.read(keep_from - self.start, self.tape.size))
        given, levels = self.tape, self.levels[: -(-(end - self.start) // FRAME_SAMPLES)]
        given.cut(end - self.start)
        self.tape, self.start = rest, keep_from
        del self.levels[:dropped]
        return given, levels


@dataclass(slots=True)
class Segmenter:
    """Cuts at the places that are decided already, then where the rule says. Holds one segment at a time."""

    rule: CutRule
    decided: deque[Cut] = field(default_factory=deque)
    _meter: LevelMeter = field(default_factory=LevelMeter)
    _planner: CutPlanner | None = None
    _held: _Held = field(default_factory=_Held)
    _start: int = 0

    @property
    def held_from(self) -> int:
        """The first sample of the slice that is being filled."""
        return self._held.start

    def add(self, block: Samples) -> list[SegmentAudio]:
        """Take the next samples (16 kHz mono) and return the slices that are now whole."""
        self._take(block, self._meter.add(block))
        slices = []
        while self.decided and self._held.end >= self._sound_end(self.decided[0]):
            slices.append(self._slice(self.decided.popleft()))
        return slices

    def finish(self) -> list[SegmentAudio]:
        """Return the last slices; none where a decided cut was the end."""
        self._take(np.empty(0, np.int16), self._meter.finish())
        slices = []
        while self.decided and ms_to_samples(self.decided[0].at_ms) < self._held.end:
            slices.append(self._slice(self.decided.popleft()))
        # A cut that was stored at the end is known to the millisecond: the samples behind it are no segment.
        if self._start < self._held.end - (SAMPLES_PER_MS // 2 if self._start else 0):
            slices.append(self._slice(None))
        return slices

    def _take(self, block: Samples, levels: NDArray[np.float32]) -> None:
        new: list[float] = levels.tolist()
        self._held.add(block, new)
        self._plan(new)

    def _plan(self, levels: Sequence[float]) -> None:
        """Decide further cuts, once all that were decided before are behind."""
        if self._planner is None:
            if self.decided:
                return
            self._planner = CutPlanner(self.rule, samples_to_ms(self._start))
            levels = self._held.levels[(self._start - self._held.start) // FRAME_SAMPLES :]
        self.decided.extend(self._planner.feed(levels))

    def _sound_end(self, cut: Cut) -> int:
        return ms_to_samples(cut.at_ms + (self.rule.overlap_ms if cut.forced else 0))

    def _slice(self, cut: Cut | None) -> SegmentAudio:
        """Cut off a slice; without a cut, all that is left."""
        end = self._held.end if cut is None else ms_to_samples(cut.at_ms)
        sound_end = self._held.end if cut is None else min(self._held.end, self._sound_end(cut))
        forced = cut is not None and cut.forced
        back = ms_to_samples(self.rule.overlap_ms) if forced else 0
        sound_start = self._held.start
        tape, levels = self._held.cut_off(sound_end, max(sound_start, end - back))
        piece = SegmentAudio(self._start, end, sound_start, tape, levels, forced)
        self._start = end
        if not self.decided:
            self._plan([])
        return piece
