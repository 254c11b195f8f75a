"""A sound whose times can be read back: chirps at known places, found by correlation."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
DURATION_S = 12.0
CHIRPS_S = (0.75, 3.5, 6.125, 8.0, 11.25)

Sound = NDArray[np.float64]


def chirp(rate: int) -> Sound:
    """80 ms from 300 to 3,000 Hz: inside what 8 kHz telephony carries."""
    length = 0.08
    t = np.arange(round(length * rate)) / rate
    phase = 2 * np.pi * (300 * t + (3000 - 300) / (2 * length) * t**2)
    return np.sin(phase) * np.hanning(t.size)


def sound(rate: int = RATE, duration_s: float = DURATION_S) -> Sound:
    """Chirps over faint noise."""
    signal = np.random.default_rng(7).normal(0, 0.001, round(duration_s * rate))
    shape = 0.5 * chirp(rate)
    for at_s in CHIRPS_S:
        start = round(at_s * rate)
        if start + shape.size <= signal.size:
            signal[start : start + shape.size] += shape
    return signal


def samples(rate: int = 16_000, duration_s: float = DURATION_S) -> NDArray[np.int16]:
    return np.rint(sound(rate, duration_s) * 32767).astype(np.int16)


def write_wav(path: Path, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.repeat(samples(RATE), channels).tobytes())
    return path


def find_chirps(heard: NDArray[np.int16]) -> list[float]:
    """Where the chirps are in 16 kHz samples, in ms, to a few hundredths."""
    shape = chirp(16_000)
    score = np.correlate(heard.astype(np.float64), shape, "valid")
    level = 0.5 * score.max()
    return [_peak_ms(score, start, end) for start, end in _runs(score > level)]


def _runs(above: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches above the level; closer than 50 ms they are of one chirp."""
    places = np.flatnonzero(above)
    ends = np.flatnonzero(np.diff(places) > 800)
    starts = [places[0], *places[ends + 1]]
    return list(zip(map(int, starts), map(int, [*places[ends], places[-1]]), strict=True))


def _peak_ms(score: Sound, start: int, end: int) -> float:
    at = start + int(np.argmax(score[start : end + 1]))
    before, here, after = score[at - 1 : at + 2]
    return float((at + 0.5 * (before - after) / (before - 2 * here + after)) / 16)
