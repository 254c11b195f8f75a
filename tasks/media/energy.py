"""How loud it is, every 10 ms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.speech.timecode import SAMPLES_PER_MS

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
