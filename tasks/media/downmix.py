"""Two channels to one, without losing what is spoken in either.

The mean of both sides keeps everything, unless one side is the other inverted (a miswired cable): then
they cancel, down to silence. There half their difference is taken instead, which holds whatever is in
one side only just as the mean does. "The louder side" would not: it drops the other party of a call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.speech.timecode import SAMPLE_RATE, SAMPLES_PER_MS

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
