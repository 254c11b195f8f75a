from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stenoflow.tasks.media.segmenter import SegmentAudio, Segmenter
from stenoflow.tasks.transcript.planning import Cut, CutRule

_RULE = CutRule(2_000, 600)


def _sound(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    """Noise that swells and fades every 0.7 s."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16_000)) / 16_000
    swell = np.abs(np.sin(np.pi * time / 0.7)) ** 4
    sound: NDArray[np.int16] = (random.standard_normal(time.size) * swell * 6_000).astype(np.int16)
    return sound


def _sliced(segmenter: Segmenter, sound: NDArray[np.int16], sizes: list[int]) -> list[SegmentAudio]:
    pieces, position = [], 0
    for size in [*sizes, sound.size]:
        pieces += segmenter.add(sound[position : position + size])
        position += size
    return pieces + segmenter.finish()


@given(st.floats(0.02, 14), st.lists(st.integers(1, 48_000), max_size=8))
def test_slices_are_the_sound_in_order_however_it_comes(seconds: float, sizes: list[int]) -> None:
    sound = _sound(seconds)
    pieces = _sliced(Segmenter(_RULE), sound, sizes)
    position = 0
    for piece in pieces:
        assert piece.start_sample == position
        held = piece.sound
        assert np.array_equal(held, sound[piece.sound_start : piece.sound_end])
        assert len(piece.levels) == -(-held.size // 160)
        position = piece.end_sample
    assert position == sound.size
    _check_overlaps(pieces)
    at_once = _sliced(Segmenter(_RULE), sound, [])
    assert [piece.end_sample for piece in pieces] == [piece.end_sample for piece in at_once]


def _check_overlaps(pieces: list[SegmentAudio]) -> None:
    overlap = _RULE.overlap_ms * 16
    for before, after in pairwise(pieces):
        beyond = before.sound_end - before.end_sample, after.start_sample - after.sound_start
        if before.forced:
            assert beyond == (min(overlap, pieces[-1].end_sample - before.end_sample), overlap)
        else:
            assert beyond == (0, 0)


def test_spans_of_a_slice_are_joined() -> None:
    sound = _sound(3)
    (piece,) = _sliced(Segmenter(CutRule(5_000, 1_000)), sound, [700, 16_000])
    spans = [(0, 160), (20_000, 36_000), (47_840, 48_000)]
    expected = np.concatenate([sound[first:end] for first, end in spans])
    assert list(piece.played([])) == []
    assert np.array_equal(np.concatenate([part.copy() for part in piece.played(spans)]), expected)


def test_sound_that_was_played_is_gone_and_what_follows_is_not() -> None:
    sound = _sound(200)
    (piece,) = _sliced(Segmenter(CutRule(300_000, 1_000)), sound, [])
    for number, part in enumerate(piece.played([(0, 2_000_000), (2_500_000, sound.size)])):
        first = number * 960_000 if number < 3 else 2_500_000
        assert np.array_equal(part, sound[first : first + part.size])
    assert not piece.sound[:2_000_000].any()


def test_a_segment_of_any_length_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenoflow.tasks.media.segmenter._TAPE_SAMPLES", 1_000)
    sound = _sound(3)
    (piece,) = _sliced(Segmenter(CutRule(5_000, 1_000)), sound, [700, 900, 16_000])
    assert np.array_equal(piece.sound, sound)


def test_a_cut_that_was_stored_at_the_end_leaves_no_scrap() -> None:
    sound = _sound(20)[:-9]
    whole = _sliced(Segmenter(_RULE), sound, [])
    decided = deque(Cut(round(piece.end_sample / 16), piece.forced) for piece in whole)
    resumed = _sliced(Segmenter(_RULE, decided), sound, [])
    assert len(resumed) == len(whole)


def test_cuts_that_are_decided_are_kept_and_planning_goes_on_behind_them() -> None:
    sound = _sound(20)
    whole = _sliced(Segmenter(_RULE), sound, [])
    decided = deque(Cut(piece.end_sample // 16, forced=True) for piece in whole[:3])
    resumed = _sliced(Segmenter(_RULE, decided), sound, [])
    _check_overlaps(resumed)
    assert [piece.end_sample for piece in resumed] == [piece.end_sample for piece in whole]
    assert [piece.forced for piece in resumed[:3]] == [True] * 3
