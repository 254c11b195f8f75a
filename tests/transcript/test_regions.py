from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.regions import find_regions
from stenoflow.tasks.transcript.types import Region

_levels = st.lists(st.floats(-100, 0), max_size=2_000)


@given(_levels)
def test_regions_are_in_order_apart_and_inside(levels: list[float]) -> None:
    regions = find_regions(levels)
    for region in regions:
        assert 0 <= region.start_ms < region.end_ms <= len(levels) * 10
    for one, following in pairwise(regions):
        assert following.start_ms - one.end_ms >= 300


def test_speech_is_found_and_silence_left_out() -> None:
    levels = [-65.0] * 300 + [-20.0] * 200 + [-65.0] * 400 + [-25.0] * 100 + [-65.0] * 100
    assert find_regions(levels) == [Region(2_900, 5_100), Region(8_900, 10_100)]


def test_silence_has_no_speech() -> None:
    assert find_regions([]) == []
    assert find_regions([-100.0] * 500) == []
    assert find_regions([-78.0] * 500) == []


def test_a_few_words_in_a_long_quiet_are_not_lost() -> None:
    levels = [-80.0] * 30_000
    levels[12_000:12_040] = [-30.0] * 40
    assert find_regions(levels) == [Region(119_900, 120_500)]


def test_sound_without_pauses_is_all_speech() -> None:
    assert find_regions([-20.0, -21.0] * 500) == [Region(0, 10_000)]
