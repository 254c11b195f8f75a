"""Levels of sound: energy by frame, gain for faint segments, clipping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.transcript.timecode import SAMPLES_PER_MS

FRAME_SAMPLES = 10 * SAMPLES_PER_MS
"""Samples in a frame: 10 ms."""

SILENCE_DB = -100.0
"""The level of digital silence; nothing measures lower."""

_FULL_SCALE = 32768.0
_MEAN_SAMPLES = 40
_SMOOTHED_FRAMES = 5
# Whole frames, and what fits the processor's cache.
_BLOCK_SAMPLES = 4_000 * SAMPLES_PER_MS


class LevelMeter:
    """Measures a recording block by block; where the blocks are cut makes no difference."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.int16)

    def add(self, block: NDArray[np.int16]) -> NDArray[np.float32]:
        """Take the next samples (16 kHz mono).

        Returns:
            The mean power in dBFS of each 10 ms that is now complete; -100 for digital silence.
        """
        samples = np.concatenate([self._rest, block]) if self._rest.size else block
        whole = samples.size - samples.size % FRAME_SAMPLES
        self._rest = samples[whole:].copy()
        return frame_levels(samples[:whole])

    def finish(self) -> NDArray[np.float32]:
        """Return the level of the last, shorter frame: one, or none where the frames came out even."""
        rest, self._rest = self._rest, np.empty(0, np.int16)
        return _levels(rest.reshape(1, -1)) if rest.size else np.empty(0, np.float32)


def frame_levels(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the level of every whole 10 ms of 16 kHz mono samples, in dBFS."""
    whole = samples.size - samples.size % FRAME_SAMPLES
    return _levels(samples[:whole].reshape(-1, FRAME_SAMPLES))


def speech_levels(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the level every 10 ms of what may be speech: over 50 ms, and without what is below 200 Hz.

    The noise of rooms, fans and hum is mostly low, where it rises and falls by 10 dB, as speech does;
    what is left of it stays within 4 dB, and speech loses 1 dB. The last level may be of a shorter frame.
    """
    powers = [
        _high_powers(samples, first, min(first + _BLOCK_SAMPLES, samples.size))
        for first in range(0, samples.size, _BLOCK_SAMPLES)
    ]
    if not powers:
        return np.empty(0, np.float32)
    power = np.concatenate(powers)
    around = np.ones(_SMOOTHED_FRAMES, np.float32)
    smooth = np.convolve(power, around)[_SMOOTHED_FRAMES // 2 :][: power.size]
    return _decibels(smooth / np.convolve(np.ones_like(power), around)[_SMOOTHED_FRAMES // 2 :][: power.size])


def _high_powers(samples: NDArray[np.int16], first: int, end: int) -> NDArray[np.float32]:
    """Return the mean power of each 10 ms of a block, less its running mean over 2.5 ms."""
    half = _MEAN_SAMPLES // 2
    block = samples[max(0, first - half) : end + half]
    missing = half - min(half, first), half - min(half, samples.size - end)
    # Wraps round, which the difference of two sums undoes.
    sums = np.cumsum(np.pad(block, (missing[0] + 1, missing[1]), "edge"), dtype=np.int32)
    mean = (sums[_MEAN_SAMPLES:] - sums[:-_MEAN_SAMPLES]).astype(np.float32) / _MEAN_SAMPLES
    high = (samples[first:end] - mean[: end - first]) / np.float32(_FULL_SCALE)
    rest = -high.size % FRAME_SAMPLES
    frames = np.pad(high, (0, rest)).reshape(-1, FRAME_SAMPLES)
    power: NDArray[np.float32] = np.einsum("ij,ij->i", frames, frames) / FRAME_SAMPLES
    power[-1] *= FRAME_SAMPLES / (FRAME_SAMPLES - rest)
    return power


def _levels(frames: NDArray[np.int16]) -> NDArray[np.float32]:
    scaled = frames.astype(np.float32) / np.float32(_FULL_SCALE)
    return _decibels(np.einsum("ij,ij->i", scaled, scaled) / max(1, frames.shape[1]))


def _decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float32] = np.maximum(10 * np.log10(power), SILENCE_DB).astype(np.float32)
    return levels


_QUIET_DB = -55.0
# As speech commonly is.
_TARGET_DB = -16.0
_TOP_PERCENTILE = 95
_MOST = 32767


def gain_db(levels: Sequence[float], sound: Iterable[NDArray[np.int16]]) -> int:
    """Return by how many dB to amplify a segment: 0, unless its speech is far too soft.

    Args:
        levels: dBFS, one per 10 ms, where somebody speaks in it.
        sound: all of it that is sent; it is looked at only where the speech is too soft.

    Returns:
        Whole dB, no more than its loudest sample allows.
    """
    top = float(np.percentile(levels, _TOP_PERCENTILE)) if len(levels) else 0.0
    if top >= _QUIET_DB:
        return 0
    peak = max((max(int(part.max()), -int(part.min())) for part in sound if part.size), default=0)
    room = 20 * np.log10(_MOST / peak) if peak else 0.0
    return int(min(_TARGET_DB - top, room))


def amplified(parts: Iterable[NDArray[np.int16]], by_db: int) -> Iterator[NDArray[np.int16]]:
    """Yield samples made louder by whole dB that `gain_db` allows; as they are for 0."""
    factor = 10 ** (by_db / 20)
    for part in parts:
        yield np.rint(part * factor).astype(np.int16) if by_db else part


TOO_MUCH = 0.0015
"""Share of the samples of speech that is worth telling.

Read speech 6 dB over full scale has 0.12 %, and is heard as well as before; 12 dB over it has 2 % as WAV and
0.2 % as AAC, and of 100 words 10 more are wrong.
"""

_END = 32767
# A full-scale tone touches the ends, too; but a voice rises and falls by more than this within a second.
_STEADY_RANGE_DB = 6.0
# Speech that is clipped anywhere is far louder; what is softer are its pauses.
_SOUND_DB = -40.0


class ClippingMeter:
    """Counts what is clipped, channel by channel, and how much sound there is to hold it against."""

    def __init__(self) -> None:
        self._clipped: Counter[int] = Counter()
        self._worst: Counter[int] = Counter()
        self._sound: Counter[int | None] = Counter()

    def add(self, block: NDArray[np.int16]) -> None:
        """Take the next second of 16 kHz samples as decoded, shape (samples, channels)."""
        if block.max() < _END and block.min() > -_END:
            return
        for channel in range(block.shape[1]):
            clipped = count_clipped(block[:, channel])
            if clipped and not _is_steady(block[:, channel]):
                self._clipped[channel] += clipped
                self._worst[channel] = max(self._worst[channel], clipped)

    def add_levels(self, levels: Sequence[float], channel: int | None) -> None:
        """Take further levels (dBFS, one per 10 ms) of a channel, or of all mixed (None)."""
        loud = int(np.count_nonzero(np.asarray(levels, np.float32) > _SOUND_DB))
        self._sound[channel] += loud * FRAME_SAMPLES

    def share(self) -> float:
        """Return the share of the samples of speech that is clipped, of the channel where it is most.

        The worst second does not count: a slammed door is no reason to record anew.
        """
        return max((self._share(channel) for channel in self._clipped), default=0.0)

    def _share(self, channel: int) -> float:
        sound = self._sound[channel] or self._sound[None]
        clipped = self._clipped[channel] - self._worst[channel]
        return min(1.0, clipped / sound) if sound else 0.0


def count_clipped(samples: NDArray[np.int16]) -> int:
    """Count the samples at the ends of the scale."""
    return int(np.count_nonzero((samples >= _END) | (samples <= -_END)))


def _is_steady(samples: NDArray[np.int16]) -> bool:
    levels = frame_levels(samples)
    return not levels.size or float(np.ptp(levels)) < _STEADY_RANGE_DB
