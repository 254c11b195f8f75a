from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.planning import CutPlanner, CutRule, choose_cut

_SPEECH_DB, _PAUSE_DB = -20.0, -60.0
_RULE = CutRule(target_ms=30_000, window_ms=10_000)


def _talk(seconds: float, seed: int = 1, pause_db: float = _PAUSE_DB) -> list[float]:
    """Levels of speech with a pause of 0.3 to 0.8 s every 2 to 5 s."""
    random_ = random.Random(seed)
    levels: list[float] = []
    while len(levels) < seconds * 100:
        levels += [_SPEECH_DB + random_.uniform(-8, 8) for _ in range(random_.randint(200, 500))]
        levels += [pause_db + random_.uniform(-1, 1) for _ in range(random_.randint(30, 80))]
    return levels[: int(seconds * 100)]


@given(st.integers(0, 2**32), st.lists(st.integers(1, 4_000), min_size=1, max_size=30), st.floats(20, 200))
def test_cuts_do_not_depend_on_how_the_sound_comes_in(seed: int, blocks: list[int], seconds: float) -> None:
    levels = _talk(seconds, seed)
    at_once = CutPlanner(_RULE).feed(levels)
    planner, bit_by_bit, position = CutPlanner(_RULE), [], 0
    for size in blocks:
        bit_by_bit += planner.feed(levels[position : position + size])
        position += size
    bit_by_bit += planner.feed(levels[position:])
    assert bit_by_bit == at_once


@given(st.integers(0, 2**32), st.floats(1, 300), st.floats(-60, -21))
def test_no_segment_is_too_long_and_none_is_a_scrap(seed: int, seconds: float, pause_db: float) -> None:
    levels = _talk(seconds, seed, pause_db)
    cuts = [cut.at_ms for cut in CutPlanner(_RULE).feed(levels)]
    edges = [0, *cuts, len(levels) * 10]
    lengths = [end - start for start, end in pairwise(edges)]
    assert max(lengths) <= _RULE.longest_ms + 1_000
    assert all(length >= _RULE.target_ms - _RULE.window_ms for length in lengths[:-1])
    assert lengths[-1] >= 1_000 or not cuts


@given(st.integers(0, 2**32))
def test_speech_with_pauses_is_cut_in_pauses(seed: int) -> None:
    levels = _talk(200, seed)
    for cut in CutPlanner(_RULE).feed(levels):
        around = levels[cut.at_ms // 10 - 5 : cut.at_ms // 10 + 5]
        assert not cut.forced
        assert max(around) < -50


def test_a_run_that_goes_on_after_a_stored_cut_plans_as_if_never_broken_off() -> None:
    levels = _talk(300)
    cuts = CutPlanner(_RULE).feed(levels)
    resumed = CutPlanner(_RULE, start_ms=cuts[1].at_ms).feed(levels[cuts[1].at_ms // 10 :])
    assert resumed == cuts[2:]


def test_steady_noise_is_cut_at_its_quietest_and_marked() -> None:
    levels = [-20.0 + 0.2 * (index % 3) for index in range(2_000)]
    levels[700:780] = [-22.0] * 80
    at, forced = choose_cut(levels)
    assert forced
    assert 700 <= at <= 780


def test_speech_without_a_pause_is_cut_between_two_words_and_marked() -> None:
    levels = ([-20.0] * 30 + [-60.0] * 9) * 60
    at, forced = choose_cut(levels)
    assert forced
    assert max(levels[at - 3 : at + 3]) < -50


def test_silence_is_cut_at_the_target_and_not_marked() -> None:
    assert choose_cut([-100.0] * 2_000) == (1_000, False)


@pytest.mark.parametrize(
    ("target", "limit", "expected"),
    [
        (600_000, 3_000_000, CutRule(600_000, 60_000)),
        (30_000, 3_000_000, CutRule(30_000, 10_000)),
        (600_000, 100_000, CutRule(70_500, 23_500)),
        (1_390_000, 1_400_000, CutRule(1_334_000, 60_000)),
    ],
)
def test_the_rule_gives_way_to_the_models_limit(target: int, limit: int, expected: CutRule) -> None:
    rule = CutRule.fitting(target, limit)
    assert rule == expected
    assert rule.longest_ms + 2 * rule.overlap_ms <= limit
