"""Numbers as sound: a word is a chirp that marks its start, then five hexadecimal digits, each a tone.

Chirp and tones lie between 500 and 3500 Hz, where a telephone line and a 64 kbps MP3 keep them, and are
equally loud: words said without a pause leave no dip that could be taken for one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
DIGITS = 5
CHIRP_SAMPLES = RATE * 40 // 1000
DIGIT_SAMPLES = RATE * 32 // 1000
WORD_SAMPLES = CHIRP_SAMPLES + DIGITS * DIGIT_SAMPLES
"""200 ms."""
FREQUENCIES = 500.0 + 200.0 * np.arange(16)
LEVEL = 0.3
"""Amplitude, of full scale: -13.5 dBFS."""
# Against clicks at the word's edges; too short to be seen in levels of 10 ms.
_FADE = RATE // 1000

Samples = NDArray[np.int16]


def chirp() -> NDArray[np.float64]:
    """Return the mark of a word's start, at full scale. Nothing else resembles it for longer than 1 ms."""
    time = np.arange(CHIRP_SAMPLES) / RATE
    low, high, length = FREQUENCIES[0], FREQUENCIES[-1], CHIRP_SAMPLES / RATE
    phase: NDArray[np.float64] = 2 * np.pi * (low * time + (high - low) / (2 * length) * time**2)
    return np.sin(phase)


def word_sound(number: int) -> Samples:
    """Return the sound of one word, at 16 kHz."""
    digits = [number >> 4 * place & 15 for place in reversed(range(DIGITS))]
    sound = np.concatenate([_CHIRP, *(_TONES[digit] for digit in digits)])
    sound[:_FADE] *= _RISE
    sound[-_FADE:] *= _RISE[::-1]
    return sound.astype(np.int16)


def _tones() -> NDArray[np.float64]:
    time = np.arange(DIGIT_SAMPLES) / RATE
    return np.sin(2 * np.pi * np.outer(FREQUENCIES, time))


_CHIRP = chirp() * LEVEL * 32767
_TONES = _tones() * LEVEL * 32767
_RISE = np.linspace(0.3, 1, _FADE)
