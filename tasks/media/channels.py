"""Channels: mixed to one track, or each a track of its own."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.media.levels import FRAME_SAMPLES, SILENCE_DB, LevelMeter
from stenoflow.tasks.media.segmenter import Samples, SegmentAudio, Segmenter
from stenoflow.tasks.transcript.crosstalk import FAR_DB, LEVEL_MS
from stenoflow.tasks.transcript.regions import FRAME_MS, LevelHistogram
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, SAMPLES_PER_MS

WINDOW_SAMPLES = SAMPLE_RATE
"""Samples a channel that one decision covers: 1 s."""

# Correlation of the sides: below the first they cancel more than they add; above the second they are
# the same again. Between them the last decision stands, so that noise in a pause changes nothing.
_INVERTED = -0.5
_ALIGNED = 0.2
# Mean power of a side below which a window says nothing: -70 dBFS.
_INAUDIBLE_POWER = (32768 * 10**-3.5) ** 2
# A change fades over 20 ms, which is no click.
_FADE_SAMPLES = 20 * SAMPLES_PER_MS


class Downmix:
    """Mixes a recording window by window; each decides for itself, so nothing is decided too late.

    Attributes:
        inverted_windows: windows so far in which one side was the other inverted.
    """

    def __init__(self) -> None:
        self.inverted_windows = 0
        self._sign: float | None = None

    def add(self, frames: NDArray[np.int16]) -> NDArray[np.int16]:
        """Mix the next window.

        Args:
            frames: shape (samples, 2).

        Returns:
            Shape (samples,).
        """
        sound = frames.astype(np.float32)
        before, sign = self._sign, self._decide(sound)
        self._sign = sign
        self.inverted_windows += sign < 0
        # Halves of sums of 16-bit numbers are exact in 32-bit floats.
        mixed = sound @ np.array([0.5, 0.5 * sign], np.float32)
        if before is not None and before != sign:
            fade = sound[:_FADE_SAMPLES]
            signs = np.linspace(before, sign, len(fade), dtype=np.float32)
            mixed[: len(fade)] = (fade[:, 0] + signs * fade[:, 1]) / 2
        whole: NDArray[np.int16] = np.minimum(np.rint(mixed), 32767).astype(np.int16)
        return whole

    def _decide(self, sound: NDArray[np.float32]) -> float:
        (left, both), (_, right) = (sound.T @ sound).tolist()
        if min(left, right) > _INAUDIBLE_POWER * len(sound):
            correlation = both / (left * right) ** 0.5
            if correlation < _INVERTED:
                return -1.0
            if correlation > _ALIGNED:
                return 1.0
        return 1.0 if self._sign is None else self._sign


_FRAMES = LEVEL_MS // FRAME_MS
# A voice from afar comes this much later at most, and rings on for as long.
_LATE_FRAMES = 10


@dataclass(slots=True)
class _Past:
    """How loud a channel was, as far back as the slice that is still being filled in any of them."""

    meter: LevelMeter = field(default_factory=LevelMeter)
    levels: array[float] = field(default_factory=lambda: array("f"))
    start: int = 0

    def between(self, first: int, end: int) -> NDArray[np.float32]:
        """Return the levels of frames; of those that are not known, silence."""
        known = np.asarray(self.levels[max(0, first - self.start) : max(0, end - self.start)], np.float32)
        before = min(max(0, self.start - first), end - first)
        after = end - first - before - len(known)
        return np.pad(known, (before, after), constant_values=SILENCE_DB)

    def forget(self, before: int) -> None:
        """Forget the frames before one."""
        dropped = max(0, before - self.start)
        del self.levels[:dropped]
        self.start += dropped


class Tracks:
    """Slices the tracks of one recording side by side; each is cut where it pauses itself."""

    def __init__(self, segmenters: Mapping[int | None, Segmenter]) -> None:
        """Prepare.

        Args:
            segmenters: by channel, from 0; or one, for None: all channels mixed.
        """
        self._segmenters = segmenters
        self._past = {channel: _Past() for channel in segmenters if channel is not None}

    def add(self, block: Samples) -> Iterator[tuple[int | None, SegmentAudio]]:
        """Take the next samples, shape (samples,) or (samples, channels); yield slices that are now whole."""
        sounds = {channel: _alone(block, channel) for channel in self._segmenters}
        for number, past in self._past.items():
            past.levels.extend(past.meter.add(sounds[number]).tolist())
        for channel, segmenter in self._segmenters.items():
            for piece in segmenter.add(sounds[channel]):
                yield channel, piece
        for past in self._past.values():
            past.forget(min(segmenter.held_from for segmenter in self._segmenters.values()) // FRAME_SAMPLES)

    def own(self, channel: int | None, piece: SegmentAudio, listened: LevelHistogram) -> Sequence[float]:
        """Return a slice's levels without the voices of others, which stand at the floor.

        Args:
            channel: its track, which has just been sliced.
            piece: the slice.
            listened: how loud the track was so far, the slice included.
        """
        others = [past for number, past in self._past.items() if number != channel]
        if not others:
            return piece.levels
        levels = np.asarray(piece.levels, np.float32)
        first = piece.sound_start // FRAME_SAMPLES - _LATE_FRAMES
        end = first + levels.size + 2 * _LATE_FRAMES
        loudest_other = np.max([past.between(first, end) for past in others], axis=0)
        louder = np.lib.stride_tricks.sliding_window_view(loudest_other, 2 * _LATE_FRAMES + 1).max(axis=1)
        afar = (levels <= louder - FAR_DB) & (levels <= listened.voice_db() - FAR_DB)
        floor_db = listened.loudness().floor_db
        return array("f", np.where(afar, np.minimum(levels, floor_db), levels).tolist())

    def finish(self) -> Iterator[tuple[int | None, SegmentAudio]]:
        """Yield the last slices."""
        for channel, segmenter in self._segmenters.items():
            for piece in segmenter.finish():
                yield channel, piece


def _alone(block: Samples, channel: int | None) -> Samples:
    """Return one channel (None: what is mixed already), silent where it is the first one again."""
    if channel is None:
        return block
    first = block[:, 0]
    sound = block[:, channel].copy()
    if channel and np.array_equal(sound, first):
        sound.fill(0)
    return sound


def loudest(block: Samples) -> Samples:
    """Return one track that is digital silence only where all channels are."""
    return np.where(block.any(axis=1), 1_000, 0).astype(np.int16)


def levels_of(frames: Sequence[float], start_ms: int, end_ms: int) -> tuple[int, ...]:
    """Return how loud a stretch is, in dBFS for each 50 ms, from the levels of its frames of 10 ms."""
    levels = np.asarray(frames[start_ms // FRAME_MS : -(-end_ms // FRAME_MS)], np.float64)
    return tuple(round(10 * float(np.log10(np.mean(each)))) for each in _parts(10 ** (levels / 10)))


def _parts(power: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    return [power[first : first + _FRAMES] for first in range(0, power.size, _FRAMES)]


def own_levels(piece: SegmentAudio, levels: Sequence[float]) -> Sequence[float]:
    """Return a segment's part of the levels of its slice, which begins with some of the one before."""
    return levels[(piece.start_sample - piece.sound_start) // FRAME_SAMPLES :]
