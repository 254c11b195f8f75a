"""How loud it is, every 10 ms, and how much of it is clipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.speech.timecode import SAMPLES_PER_MS

FRAME_SAMPLES = 10 * SAMPLES_PER_MS
"""Samples in a frame: 10 ms."""

SILENCE_DB = -100.0
"""The level of digital silence; nothing measures lower."""

_FULL_SCALE = 32768.0
_CLIPPED = 32767


class LevelMeter:
    """Measures a recording block by block; where the blocks are cut makes no difference.

    Attributes:
        clipped: samples so far at the ends of the scale.
    """

    def __init__(self) -> None:
        self.clipped = 0
        self._rest = np.empty(0, np.int16)

    def add(self, block: NDArray[np.int16]) -> NDArray[np.float32]:
        """Take the next samples (16 kHz mono).

        Returns:
            The mean power in dBFS of each 10 ms that is now complete; -100 for digital silence.
        """
        self.clipped += count_clipped(block)
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


def count_clipped(samples: NDArray[np.int16]) -> int:
    """Count the samples at the ends of the scale."""
    if not samples.size or (samples.max() < _CLIPPED and samples.min() > -_CLIPPED):
        return 0
    return int(np.count_nonzero((samples >= _CLIPPED) | (samples <= -_CLIPPED)))


def _levels(frames: NDArray[np.int16]) -> NDArray[np.float32]:
    scaled = frames.astype(np.float32) / np.float32(_FULL_SCALE)
    power = np.einsum("ij,ij->i", scaled, scaled) / max(1, frames.shape[1])
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float32] = np.maximum(10 * np.log10(power), SILENCE_DB).astype(np.float32)
    return levels
