"""The cheapest way that still makes it."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.jobs.transcribe.due import Way, first_due, in_time

_HOUR_MS = 3_600_000
_FREE = Way("embedded", 0, 2.0)
_CHEAP = Way("groq", 40_000, 40.0)
_DEAR = Way("openai", 360_000, 60.0)
_UNKNOWN = Way("other", None, 90.0)
_ALL = [_DEAR, _CHEAP, _FREE, _UNKNOWN]


def names(left_h: float, until_h: float, ways: list[Way] | None = None) -> list[str]:
    ordered = in_time(ways or _ALL, round(left_h * _HOUR_MS), round(until_h * _HOUR_MS))
    return [way.name for way in ordered]


@pytest.mark.parametrize(
    ("left_h", "until_h", "order"),
    [
        # There is time enough for this machine.
        (10, 8, ["embedded", "groq", "openai", "other"]),
        # Not any more; of what makes it, the cheapest; who is too slow comes last.
        (20, 8, ["groq", "openai", "other", "embedded"]),
        (20, 0.5, ["openai", "other", "groq", "embedded"]),
        # Nobody makes it: the fastest.
        (200, 0.5, ["other", "openai", "groq", "embedded"]),
        (1, -1, ["other", "openai", "groq", "embedded"]),
        # Nothing is left to do.
        (0, 1, ["embedded", "groq", "openai", "other"]),
    ],
)
def test_the_cheapest_that_makes_it_comes_first(left_h: float, until_h: float, order: list[str]) -> None:
    assert names(left_h, until_h) == order


def test_of_equals_the_one_that_was_named_first_is_asked() -> None:
    twins = [Way("b", 1, 1.0), Way("a", 1, 1.0)]
    assert names(1, 10, twins) == names(10, 1, twins) == ["b", "a"]


_WAYS = st.lists(
    st.builds(
        Way, st.uuids().map(str), st.none() | st.integers(0, 10**6), st.floats(0, 100, allow_nan=False)
    ),
    min_size=1,
    max_size=6,
)


@given(_WAYS, st.integers(0, 10**9), st.integers(-(10**9), 10**9))
def test_nobody_is_lost_and_none_before_the_first_is_cheaper_and_in_time(
    ways: list[Way], left_ms: int, until_ms: int
) -> None:
    ordered = in_time(ways, left_ms, until_ms)
    assert sorted(ordered, key=str) == sorted(ways, key=str)
    able = [way for way in ways if way.speed > 0 and left_ms / way.speed <= max(0, until_ms) * 0.8]
    if able:
        assert ordered[0] in able
        known = [way.hour_micro for way in able if way.hour_micro is not None]
        assert not known or ordered[0].hour_micro == min(known)


def test_work_is_due_at_the_next_such_time_by_the_clock_on_the_wall() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    evening = datetime(2026, 11, 28, 22, 0, tzinfo=berlin)
    assert first_due(time(8), evening) == datetime(2026, 11, 29, 8, 0, tzinfo=berlin)
    assert first_due(time(8), evening.replace(hour=7)) == datetime(2026, 11, 28, 8, 0, tzinfo=berlin)
    assert first_due(time(8), evening.replace(hour=8)) == datetime(2026, 11, 29, 8, 0, tzinfo=berlin)
    before_summer = datetime(2026, 3, 28, 22, 0, tzinfo=berlin)
    assert first_due(time(8), before_summer).hour == 8
