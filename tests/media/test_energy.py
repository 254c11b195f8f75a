from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stenoflow.tasks.media.levels import FRAME_SAMPLES, SILENCE_DB, LevelMeter, frame_levels


def sine(amplitude: float) -> NDArray[np.int16]:
    t = np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    return np.rint(amplitude * np.sin(2 * np.pi * 4 * t)).astype(np.int16)


@pytest.mark.parametrize(("amplitude", "expected"), [(32767, -3.01), (3276.7, -23.01), (327.67, -43.01)])
def test_the_level_of_a_sine(amplitude: float, expected: float) -> None:
    assert frame_levels(sine(amplitude))[0] == pytest.approx(expected, abs=0.02)


def test_full_scale_is_0_db_and_digital_silence_the_floor() -> None:
    loudest = np.full(FRAME_SAMPLES, -32768, np.int16)
    faintest = np.zeros(FRAME_SAMPLES, np.int16)
    faintest[0] = 1
    silence = np.zeros(FRAME_SAMPLES, np.int16)
    assert frame_levels(np.concatenate([loudest, faintest, silence])).tolist() == [
        0.0,
        SILENCE_DB,
        SILENCE_DB,
    ]


@given(
    size=st.integers(0, 5 * FRAME_SAMPLES),
    cuts=st.lists(st.integers(0, 5 * FRAME_SAMPLES), max_size=6),
    seed=st.integers(0, 100),
)
def test_where_the_blocks_are_cut_makes_no_difference(size: int, cuts: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-32768, 32768, size).astype(np.int16)
    meter = LevelMeter()
    levels = [meter.add(block) for block in np.split(samples, sorted(cuts))]
    last = meter.finish()
    assert np.array_equal(np.concatenate(levels), frame_levels(samples))
    assert last.size == (size % FRAME_SAMPLES > 0)
    assert all(each.dtype == np.float32 for each in levels)


def test_the_last_shorter_frame_has_its_own_level() -> None:
    meter = LevelMeter()
    assert meter.add(np.full(7, 16384, np.int16)).size == 0
    assert meter.finish()[0] == pytest.approx(-6.02, abs=0.01)
    assert meter.finish().size == 0
