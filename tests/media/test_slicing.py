from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.media.slicing import Slice, Slicer
from tasks.speech.planning import Cut, CutRule

_RULE = CutRule(2_000, 600)


def _sound(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    """Noise that swells and fades every 0.7 s."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16_000)) / 16_000
    swell = np.abs(np.sin(np.pi * time / 0.7)) ** 4
    sound: NDArray[np.int16] = (random.standard_normal(time.size) * swell * 6_000).astype(np.int16)
    return sound


def _sliced(slicer: Slicer, sound: NDArray[np.int16], sizes: list[int]) -> list[Slice]:
    pieces, position = [], 0
    for size in [*sizes, sound.size]:
        pieces += slicer.add(sound[position : position + size])
        position += size
    return pieces + slicer.finish()


@settings(deadline=None, max_examples=30)
@given(st.floats(0.02, 14), st.lists(st.integers(1, 48_000), max_size=8))
def test_slices_are_the_sound_in_order_however_it_comes(seconds: float, sizes: list[int]) -> None:
    sound = _sound(seconds)
    pieces = _sliced(Slicer(_RULE), sound, sizes)
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), sound)
    position = 0
    for piece in pieces:
        assert piece.start_sample == position
        assert len(piece.levels) == -(-piece.samples.size // 160)
        position = piece.end_sample
    at_once = _sliced(Slicer(_RULE), sound, [])
    assert [piece.end_sample for piece in pieces] == [piece.end_sample for piece in at_once]


def test_cuts_that_are_decided_are_kept_and_planning_goes_on_behind_them() -> None:
    sound = _sound(20)
    whole = _sliced(Slicer(_RULE), sound, [])
    decided = deque(Cut(piece.end_sample // 16, forced=True) for piece in whole[:3])
    resumed = _sliced(Slicer(_RULE, decided), sound, [])
    assert [piece.end_sample for piece in resumed] == [piece.end_sample for piece in whole]
    assert [piece.forced for piece in resumed[:3]] == [True] * 3
