"""Ear-free: no click is a bound on how fast the signal may change, no gap one on how long it is quiet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stenoflow.tasks.jobs.speak.streaming import RATE, Joiner

Samples = NDArray[np.int16]
LEVEL, PITCH = 8_000, 200
# A tone of that level and pitch changes by no more than this from sample to sample.
STEEPEST = LEVEL * 2 * np.pi * PITCH / RATE


def tone(seconds: float, phase: float = 0.0) -> Samples:
    times = np.arange(round(seconds * RATE)) / RATE
    wave_: Samples = np.rint(LEVEL * np.sin(2 * np.pi * PITCH * times + phase)).astype(np.int16)
    return wave_


def quiet(seconds: float) -> Samples:
    return np.random.default_rng(1).integers(-40, 40, round(seconds * RATE)).astype(np.int16)


def join(pieces: list[Samples], pause_ms: int = 350, block: int = 10**9) -> Samples:
    joiner, out = Joiner(), []
    for number, piece in enumerate(pieces):
        joiner.begin(pause_ms if number else None)
        out += [joiner.feed(piece[at : at + block]) for at in range(0, piece.size, block)]
        out.append(joiner.end())
    return np.concatenate([*out, joiner.finish()])


def quiet_stretches(samples: Samples) -> list[float]:
    """Return how long it is quiet between loud sounds, in ms."""
    loud = np.flatnonzero(np.abs(samples) > 1_000)
    return [1000 * (after - before) / RATE for before, after in pairwise(loud) if after - before > RATE // 20]


def spoken(lead: float, tail: float, phase: float = 0.0) -> Samples:
    """Return a tone between quiet stretches; where there is none, it begins or ends at once."""
    sound, edge = tone(0.5, phase).astype(np.float64), RATE // 100
    if lead:
        sound[:edge] *= np.linspace(0, 1, edge)
    if tail:
        sound[-edge:] *= np.linspace(1, 0, edge)
    return np.concatenate([quiet(lead), np.rint(sound).astype(np.int16), quiet(tail)])


@pytest.mark.parametrize(
    ("tail", "lead"), [(0.8, 0.3), (0.8, 0.0), (0.0, 0.3), (0.0, 0.0), (0.05, 0.05), (3.0, 3.0)]
)
@pytest.mark.parametrize("pause_ms", [350, 40])
def test_pauses_are_as_long_as_wished_and_nothing_clicks(tail: float, lead: float, pause_ms: int) -> None:
    # The tones end and begin at their peaks: bare, that is a step of 8,000.
    pieces = [spoken(0, tail, np.pi / 2), spoken(lead, tail, np.pi / 2), spoken(lead, 0.2, np.pi / 2)]
    joined = join(pieces, pause_ms)
    gaps = quiet_stretches(joined)
    assert gaps == pytest.approx([pause_ms] * 2, abs=15) if pause_ms > 50 else not gaps
    steps = np.abs(np.diff(joined[RATE // 100 : -RATE // 2].astype(np.int32)))
    assert steps.max() < STEEPEST + LEVEL * 200 / RATE + 80
    assert np.abs(joined).max() <= LEVEL


def test_inside_a_piece_nothing_is_changed() -> None:
    piece = np.concatenate([quiet(0.3), tone(0.2), quiet(2.0), tone(0.2), quiet(0.8)])
    assert np.array_equal(join([piece]), piece)
    both = join([piece, piece])
    assert np.array_equal(both[: round(2.7 * RATE) - RATE // 200], piece[: round(2.7 * RATE) - RATE // 200])


def test_words_that_end_softly_are_not_cut_off() -> None:
    soft = np.concatenate([tone(0.3), (tone(0.15) // 200).astype(np.int16), quiet(1.0)])
    joined = join([soft, spoken(0.3, 0.3)])
    assert np.array_equal(joined[: round(0.45 * RATE)], soft[: round(0.45 * RATE)])


def test_a_piece_without_a_sound_is_left_out() -> None:
    speech, silence = spoken(0.3, 0.3), quiet(1.0)
    assert np.array_equal(join([speech, silence, speech]), join([speech, speech]))


@given(st.integers(60, 5_000))
def test_it_is_the_same_in_whatever_blocks_it_comes(block: int) -> None:
    pieces = [spoken(0.1, 0.2), spoken(0.15, 0.05, 1.0), spoken(0.0, 0.1)]
    assert np.array_equal(join(pieces, block=block), join(pieces))


def test_the_first_piece_is_given_from_its_first_sample_on() -> None:
    joiner = Joiner()
    joiner.begin(None)
    assert joiner.feed(quiet(0.1)).size == RATE // 10
