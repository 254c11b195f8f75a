"""Slicing the decoded sound into segments while it comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.media.energy import FRAME_SAMPLES, LevelMeter
from tasks.speech.planning import Cut, CutPlanner, CutRule
from tasks.speech.timecode import ms_to_samples, samples_to_ms

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Slice:
    """The sound of one segment, with what is sent of its neighbours.

    Attributes:
        start_sample: the segment's first sample in the decode.
        end_sample: one past its last.
        sound_start: the first sample that is held: before ``start_sample`` where the cut there was forced.
        sound_end: one past the last that is held.
        blocks: 16 kHz mono, joined the sound from ``sound_start`` to ``sound_end``.
        levels: dBFS of the same, one per 10 ms.
        forced: its end may run through speech.
    """

    start_sample: int
    end_sample: int
    sound_start: int
    sound_end: int
    blocks: tuple[Samples, ...]
    levels: Sequence[float]
    forced: bool

    def samples(self, spans: Iterable[tuple[int, int]]) -> Samples:
        """Return the samples of spans (numbered as in the decode), joined."""
        return np.concatenate(
            [np.empty(0, np.int16), *(part for span in spans for part in self._parts(*span))]
        )

    def _parts(self, first: int, end: int) -> Iterable[Samples]:
        position = self.sound_start
        for block in self.blocks:
            low, high = max(0, first - position), min(block.size, end - position)
            if low < high:
                yield block[low:high]
            position += block.size


@dataclass(slots=True)
class _Held:
    """Sound that is still needed, with its levels; ``start`` is the number of its first sample."""

    start: int = 0
    end: int = 0
    blocks: deque[Samples] = field(default_factory=deque)
    levels: list[float] = field(default_factory=list)

    def add(self, block: Samples, levels: Sequence[float]) -> None:
        self.blocks.append(block)
        self.levels.extend(levels)
        self.end += block.size

    def until(self, end: int) -> tuple[tuple[Samples, ...], list[float]]:
        """Return the sound and the levels up to a sample."""
        blocks, position = [], self.start
        for block in self.blocks:
            if position >= end:
                break
            blocks.append(block[: end - position])
            position += block.size
        return tuple(blocks), self.levels[: -(-(end - self.start) // FRAME_SAMPLES)]

    def drop_until(self, start: int) -> None:
        """Forget the sound before a sample, which lies on a frame."""
        del self.levels[: (start - self.start) // FRAME_SAMPLES]
        while self.blocks and self.start + self.blocks[0].size <= start:
            self.start += self.blocks.popleft().size
        if self.blocks and self.start < start:
            # A copy, so that the rest of the block can go.
            self.blocks[0] = self.blocks[0][start - self.start :].copy()
            self.start = start


@dataclass(slots=True)
class Slicer:
    """Cuts at the places that are decided already, then where the rule says. Holds one segment at a time."""

    rule: CutRule
    decided: deque[Cut] = field(default_factory=deque)
    _meter: LevelMeter = field(default_factory=LevelMeter)
    _planner: CutPlanner | None = None
    _held: _Held = field(default_factory=_Held)
    _start: int = 0

    def add(self, block: Samples) -> list[Slice]:
        """Take the next samples (16 kHz mono) and return the slices that are now whole."""
        self._take(block, self._meter.add(block))
        slices = []
        while self.decided and self._held.end >= self._sound_end(self.decided[0]):
            slices.append(self._slice(self.decided.popleft()))
        return slices

    def finish(self) -> list[Slice]:
        """Return the last slices; none where a decided cut was the end."""
        self._take(np.empty(0, np.int16), self._meter.finish())
        slices = []
        while self.decided and ms_to_samples(self.decided[0].at_ms) < self._held.end:
            slices.append(self._slice(self.decided.popleft()))
        if self._start < self._held.end:
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

    def _slice(self, cut: Cut | None) -> Slice:
        """Cut off a slice; without a cut, all that is left."""
        end = self._held.end if cut is None else ms_to_samples(cut.at_ms)
        sound_end = self._held.end if cut is None else min(self._held.end, self._sound_end(cut))
        forced = cut is not None and cut.forced
        blocks, levels = self._held.until(sound_end)
        piece = Slice(self._start, end, self._held.start, sound_end, blocks, levels, forced)
        self._start = end
        back = ms_to_samples(self.rule.overlap_ms) if forced else 0
        self._held.drop_until(max(self._held.start, end - back))
        if not self.decided:
            self._plan([])
        return piece
