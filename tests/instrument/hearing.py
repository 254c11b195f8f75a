"""Hearing the words in tones: where each begins to the sample, and which were cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tests.instrument.tones import (
    CHIRP_SAMPLES,
    DIGIT_SAMPLES,
    DIGITS,
    FREQUENCIES,
    LEVEL,
    RATE,
    WORD_SAMPLES,
    Samples,
    chirp,
)

# A chirp of which a quarter is missing, or under a loud bed, still resembles itself by this much.
_ALIKE = 0.7
_TRANSFORM = 1 << 16
# So much of a word may be missing at its edge.
_SPARE = RATE // 100
# Of a digit's sound, the part in its tone; under a bed or after an encoder it is above 0.8.
_CLEAR = 0.5
_FRAME = RATE // 500
# Half of a word's power.
_LOUD = LEVEL**2 / 4
# What an encoder smears over a word's edges.
_SMEAR = RATE // 200
_SHORTEST_PIECE = 3

_EDGE = DIGIT_SAMPLES // 5
_INSIDE = DIGIT_SAMPLES - 2 * _EDGE


def hear(samples: Samples) -> Iterator[tuple[int, int | None]]:
    """Yield what is heard, in order: (first sample, number); None for a word of which a part is missing."""
    sound = np.concatenate([np.zeros(CHIRP_SAMPLES), samples, np.zeros(WORD_SAMPLES)])
    padded = (sound / 32768).astype(np.float32)
    starts = _chirps(padded)
    numbers = _numbers(padded, starts)
    whole = (starts >= CHIRP_SAMPLES - _SPARE) & (numbers >= 0)
    whole &= starts + WORD_SAMPLES <= CHIRP_SAMPLES + samples.size + _SPARE
    heard: list[tuple[int, int | None]] = [
        (max(0, int(start) - CHIRP_SAMPLES), int(number))
        for start, number in zip(starts[whole], numbers[whole], strict=True)
    ]
    heard += [(max(0, start - CHIRP_SAMPLES), None) for start in _pieces(padded, starts[whole])]
    return iter(sorted(heard, key=lambda word: word[0]))


def _chirps(sound: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return where chirps begin."""
    alike = np.abs(_correlation(sound)) / np.sqrt(_power(sound, CHIRP_SAMPLES) + 1e-4)
    near = np.flatnonzero(alike > _ALIKE)
    if not near.size:
        return near
    groups = np.split(near, np.flatnonzero(np.diff(near) > CHIRP_SAMPLES // 2) + 1)
    return np.array([group[np.argmax(alike[group])] for group in groups])


def _correlation(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlate with a chirp of power 1 at each place, by overlapping transforms."""
    mark = chirp() / np.linalg.norm(chirp())
    spectrum = np.conj(np.fft.rfft(mark.astype(np.float32), _TRANSFORM))
    step = _TRANSFORM - CHIRP_SAMPLES
    parts = []
    for first in range(0, sound.size - CHIRP_SAMPLES + 1, step):
        transformed = np.fft.rfft(sound[first : first + _TRANSFORM], _TRANSFORM)
        parts.append(np.fft.irfft(transformed * spectrum)[:step].astype(np.float32))
    return np.concatenate(parts)[: sound.size - CHIRP_SAMPLES + 1]


def _power(sound: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Return the power of each run of ``width`` samples."""
    total = np.concatenate([[0.0], np.cumsum(np.square(sound), dtype=np.float64)])
    power: NDArray[np.float64] = total[width:] - total[:-width]
    return np.maximum(power, 0)


def _numbers(sound: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number behind each chirp; -1 where a digit is none."""
    within = CHIRP_SAMPLES + DIGIT_SAMPLES * np.arange(DIGITS) + _EDGE
    places = (starts[:, None] + within)[:, :, None] + np.arange(_INSIDE)
    digits = sound[np.minimum(places, sound.size - 1)]
    strength = np.square(np.abs(digits @ _waves())) * (2 / _INSIDE)
    power = np.einsum("wds,wds->wd", digits, digits)
    clear = (strength.max(axis=2) > _CLEAR * power) & (power / _INSIDE > _LOUD / 2)
    values = strength.argmax(axis=2) @ (16 ** np.arange(DIGITS)[::-1])
    return np.where(clear.all(axis=1), values, -1)


def _waves() -> NDArray[np.complex64]:
    time = np.arange(_INSIDE) / RATE
    return np.exp(-2j * np.pi * np.outer(time, FREQUENCIES)).astype(np.complex64)


def _pieces(sound: NDArray[np.float32], starts: NDArray[np.int64]) -> list[int]:
    """Return where it is as loud as a word outside the whole words."""
    frames = sound[: sound.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    loud = np.einsum("fs,fs->f", frames, frames) / _FRAME > _LOUD
    for start in starts:
        loud[(start - _SMEAR) // _FRAME : -(-(start + WORD_SAMPLES + _SMEAR) // _FRAME)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8)))
    runs = _joined(edges.reshape(-1, 2))
    return [first * _FRAME for first, end in runs if end - first >= _SHORTEST_PIECE]


def _joined(runs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Join runs that belong to one piece of a word."""
    joined: list[tuple[int, int]] = []
    for first, end in runs.tolist():
        if joined and first - joined[-1][1] <= DIGIT_SAMPLES // _FRAME:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return joined
