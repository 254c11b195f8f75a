"""Idle stretches of real rooms: their noise is no speech, however it rumbles, and a soft voice is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stenoflow.tasks.media.levels import SILENCE_DB, speech_levels
from stenoflow.tasks.transcript.regions import LevelHistogram, stretches_to_send

_RATE = 16_000
_SLOPES = {"white": 0.0, "pink": 0.5, "brown": 1.0}


def noise(kind: str, level_db: float, seconds: int, seed: int = 1) -> NDArray[np.float64]:
    """Noise of a room; below 1 Hz no microphone hears anything."""
    size = seconds * _RATE
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    frequencies = np.maximum(np.fft.rfftfreq(size, 1 / _RATE), 1.0)
    sound = np.fft.irfft(spectrum / frequencies ** _SLOPES[kind], size)
    return np.asarray(sound / sound.std() * 10 ** (level_db / 20))


def voice(level_db: float, seconds: int) -> NDArray[np.float64]:
    """Syllables of 0.15 s, each with gaps of 0.1 s: harmonics of 120 Hz up to 3 kHz."""
    time = np.arange(seconds * _RATE) / _RATE
    sound = sum(np.sin(2 * np.pi * 120 * number * time) / number**0.5 for number in range(1, 25))
    sound *= np.sin(np.pi * np.minimum(time % 0.25 / 0.15, 1.0))
    return np.asarray(sound / sound.std() * 10 ** (level_db / 20))


def sent(sound: NDArray[np.float64], segment_s: int = 40) -> list[tuple[int, int]]:
    """Return what is sent, in ms, of a recording that is cut every 40 s."""
    samples = np.clip(sound * 32767, -32768, 32767).astype(np.int16)
    listened = LevelHistogram()
    stretches = []
    for first in range(0, samples.size, segment_s * _RATE):
        levels = speech_levels(samples[first : first + segment_s * _RATE]).tolist()
        listened.add(levels)
        start_ms = first * 1000 // _RATE
        regions = stretches_to_send(levels, listened.loudness())
        stretches += [(start_ms + each.start_ms, start_ms + each.end_ms) for each in regions]
    return stretches


@pytest.mark.parametrize("level_db", [-65, -45])
@pytest.mark.parametrize("kind", _SLOPES)
def test_an_idle_tail_is_not_sent_whatever_the_room_sounds_like(kind: str, level_db: float) -> None:
    sound = noise(kind, level_db, 120)
    sound[: 20 * _RATE] += voice(-20, 20)
    (stretch,) = sent(sound)
    assert stretch[0] == 0
    assert 20_000 <= stretch[1] <= 21_000


@pytest.mark.parametrize("kind", _SLOPES)
def test_a_soft_voice_hardly_louder_than_the_room_is_sent(kind: str) -> None:
    sound = noise(kind, -50, 100)
    sound[: 20 * _RATE] += voice(-20, 20)
    sound[60 * _RATE : 70 * _RATE] += voice(-47, 10)
    assert any(start <= 60_500 and end >= 69_500 for start, end in sent(sound))


@given(st.integers(0, 200_000), st.integers(-100, 100))
def test_there_is_a_level_every_10_ms_and_none_of_what_does_not_move(size: int, value: int) -> None:
    levels = speech_levels(np.full(size, value, np.int16))
    assert levels.size == -(-size // 160)
    assert (levels == SILENCE_DB).all()


def test_a_tone_where_speech_is_keeps_its_level_and_a_rumble_does_not() -> None:
    time = np.arange(10 * _RATE) / _RATE

    def level(hertz: float) -> float:
        tone = (np.sin(2 * np.pi * hertz * time) * 3_277).astype(np.int16)
        return float(np.median(speech_levels(tone)))

    assert level(1_000) == pytest.approx(-23, abs=2)
    assert level(3_000) == pytest.approx(-23, abs=2)
    assert level(50) < -40
