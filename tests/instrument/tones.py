"""Numbers as tones: a word is four hexadecimal digits, each a tone of 50 ms.

The tones lie between 500 and 3500 Hz, where a telephone line and a 64 kbps MP3 keep them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
DIGITS = 4
DIGIT_SAMPLES = RATE * 50 // 1000
WORD_SAMPLES = DIGITS * DIGIT_SAMPLES
_FREQUENCIES = 500.0 + 200.0 * np.arange(16)
_FADE = DIGIT_SAMPLES // 10
_LEVEL = 0.3
# Above the pre-echo of MP3, below the softest part of a word.
_QUIET = 0.06

Samples = NDArray[np.int16]


def word_sound(number: int) -> Samples:
    """Return the sound of one word, at 16 kHz."""
    digits = [number >> 4 * place & 15 for place in reversed(range(DIGITS))]
    time = np.arange(DIGIT_SAMPLES) / RATE
    fade = np.ones(DIGIT_SAMPLES)
    fade[:_FADE] = fade[::-1][:_FADE] = np.linspace(0.3, 1, _FADE)
    tones = [np.sin(2 * np.pi * _FREQUENCIES[digit] * time) * fade for digit in digits]
    return (np.concatenate(tones) * _LEVEL * 32767).astype(np.int16)


def hear(samples: Samples) -> Iterator[tuple[int, int | None]]:
    """Yield what is heard: (first sample, number); None for a word that is cut or no word."""
    loud = np.abs(samples.astype(np.float32) / 32768) > _QUIET
    edges = np.flatnonzero(loud)
    if not edges.size:
        return
    # Inside a word the sound never rests for 40 ms; between words it rests for at least 60.
    breaks = np.flatnonzero(np.diff(edges) > RATE // 25)
    starts = edges[np.concatenate([[0], breaks + 1])]
    ends = edges[np.concatenate([breaks, [edges.size - 1]])] + 1
    for start, end in zip(starts, ends, strict=True):
        yield int(start), _number(samples[start:end])


def _number(sound: Samples) -> int | None:
    if abs(sound.size - WORD_SAMPLES) > RATE // 50:
        return None
    digits = [_digit(sound[place * DIGIT_SAMPLES : (place + 1) * DIGIT_SAMPLES]) for place in range(DIGITS)]
    return sum(digit << 4 * place for place, digit in enumerate(reversed(digits)))


def _digit(sound: Samples) -> int:
    middle = sound[sound.size // 5 : -(sound.size // 5)].astype(np.float64)
    time = np.arange(middle.size) / RATE
    waves = np.exp(-2j * np.pi * np.outer(_FREQUENCIES, time))
    return int(np.argmax(np.abs(waves @ middle)))
