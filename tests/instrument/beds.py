"""What lies under the words: a room's noise, steady noise, or music. Seamless loops, made once."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests.instrument.tones import RATE, Samples

# No divisor of anything that the product works in; so that no two blocks sound the same.
_LOOP_SAMPLES = 149 * RATE // 10 + 7
_BEATS = 24
_NOTES = (110.0, 130.81, 164.81, 196.0, 220.0, 261.63, 329.63, 392.0, 440.0, 523.25)


class Bed(StrEnum):
    """What is heard under the words all the time."""

    ROOM = "room"
    """White noise at -66 dBFS, as quiet rooms have."""
    SILENCE = "silence"
    """Digital silence."""
    NOISE = "noise"
    """Steady pink noise at -32 dBFS, 19 dB under the words: levels never come near silence."""
    MUSIC = "music"
    """Chords that come and go, at -32 dBFS."""


def bed_sound(bed: Bed, first: int, size: int) -> Samples:
    """Return a copy of a bed's samples from number ``first`` on."""
    # Wrapped here once: numpy wraps by subtracting again and again.
    first %= _LOOP_SAMPLES
    return np.take(_loop(bed), np.arange(first, first + size), mode="wrap")


@cache
def _loop(bed: Bed) -> Samples:
    random_ = np.random.default_rng(1)
    if bed is Bed.SILENCE:
        sound = np.zeros(_LOOP_SAMPLES)
    elif bed is Bed.ROOM:
        sound = random_.standard_normal(_LOOP_SAMPLES) * 0.0005
    else:
        sound = _pink(random_) if bed is Bed.NOISE else _music(random_)
        sound *= 10 ** (-32 / 20) / np.sqrt(np.mean(sound**2))
    return (sound * 32767).astype(np.int16)


def _pink(random_: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(random_.standard_normal(_LOOP_SAMPLES))
    hertz = np.fft.rfftfreq(_LOOP_SAMPLES, 1 / RATE)
    spectrum *= (hertz > 50) / np.sqrt(np.maximum(hertz, 50))
    return np.fft.irfft(spectrum, _LOOP_SAMPLES)


def _music(random_: np.random.Generator) -> NDArray[np.float64]:
    beat = _LOOP_SAMPLES // _BEATS + 1
    time = np.arange(beat) / RATE
    # A chord swells and fades, though never to nothing.
    envelope = 0.3 + np.sin(np.pi * np.arange(beat) / beat)
    chords = [
        sum(np.sin(2 * np.pi * note * part * time) / part for note in notes for part in (1, 2, 3)) * envelope
        for notes in (random_.choice(_NOTES, 3, replace=False) for _ in range(_BEATS))
    ]
    return np.concatenate(chords)[:_LOOP_SAMPLES]
