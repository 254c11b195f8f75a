"""Slicing the decoded sound into segments while it comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.media.energy import LevelMeter
from tasks.speech.planning import Cut, CutPlanner, CutRule
from tasks.speech.timecode import ms_to_samples, samples_to_ms


@dataclass(frozen=True, slots=True)
class Slice:
    """The sound of one segment.

    Attributes:
        start_sample: its first sample in the decode.
        samples: 16 kHz mono.
        levels: dBFS, one per 10 ms.
        forced: its end may run through speech.
    """

    start_sample: int
    samples: NDArray[np.int16]
    levels: Sequence[float]
    forced: bool

    @property
    def end_sample(self) -> int:
        """One past its last sample."""
        return self.start_sample + self.samples.size


@dataclass(slots=True)
class Slicer:
    """Cuts at the places that are decided already, then where the rule says. Holds one segment at a time."""

    rule: CutRule
    decided: deque[Cut] = field(default_factory=deque)
    _meter: LevelMeter = field(default_factory=LevelMeter)
    _planner: CutPlanner | None = None
    _blocks: list[NDArray[np.int16]] = field(default_factory=list)
    _levels: list[float] = field(default_factory=list)
    _held: int = 0
    _start: int = 0

    def add(self, block: NDArray[np.int16]) -> list[Slice]:
        """Take the next samples (16 kHz mono) and return the slices that are now whole."""
        self._take(block, self._meter.add(block))
        slices = []
        while self.decided and self._start + self._held >= ms_to_samples(self.decided[0].at_ms):
            slices.append(self._slice(self.decided.popleft()))
        return slices

    def finish(self) -> list[Slice]:
        """Return the last slice; none where a decided cut was the end."""
        self._take(np.empty(0, np.int16), self._meter.finish())
        if not self._held:
            return []
        return [self._slice(Cut(samples_to_ms(self._start + self._held), forced=False), self._held)]

    def _take(self, block: NDArray[np.int16], levels: NDArray[np.float32]) -> None:
        self._blocks.append(block)
        self._held += block.size
        new: list[float] = levels.tolist()
        self._levels.extend(new)
        self._plan(new)

    def _plan(self, levels: list[float]) -> None:
        """Decide further cuts, once all that were decided before are behind."""
        if self._planner is None:
            if self.decided:
                return
            self._planner = CutPlanner(self.rule, samples_to_ms(self._start))
            levels = self._levels
        self.decided.extend(self._planner.feed(levels))

    def _slice(self, cut: Cut, size: int | None = None) -> Slice:
        size = ms_to_samples(cut.at_ms) - self._start if size is None else size
        sound = np.concatenate(self._blocks)
        frames = min(len(self._levels), -(-size // ms_to_samples(10)))
        piece = Slice(self._start, sound[:size], self._levels[:frames], cut.forced)
        self._blocks, self._levels = [sound[size:].copy()], self._levels[frames:]
        self._held -= size
        self._start += size
        if not self.decided:
            self._plan([])
        return piece
