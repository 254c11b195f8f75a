from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.speakers import Turn
from stenoflow.tasks.transcript.types import Region
from stenoflow.tasks.transcript.voice_turns import SmoothingRule, most_likely, turns_of, windows_over

RULE = SmoothingRule(change=1.0, pause_ms=1_000, shortest_ms=500, join_ms=400)


def parts_of(*lengths_ms: int, gap_ms: int = 0) -> list[Region]:
    parts, at = [], 0
    for length in lengths_ms:
        parts.append(Region(at, at + length))
        at += length + gap_ms
    return parts


@given(st.integers(0, 10_000), st.integers(1, 60_000), st.integers(1, 3_000), st.integers(1, 3_000))
def test_windows_answer_for_all_of_a_region_once(start: int, length: int, window: int, hop: int) -> None:
    region = Region(start, start + length)
    windows = windows_over(region, window, hop)
    assert windows[0].part.start_ms == region.start_ms
    assert windows[-1].part.end_ms == region.end_ms
    assert all(one.part.end_ms == other.part.start_ms for one, other in pairwise(windows))
    for each in windows:
        assert region.start_ms <= each.heard.start_ms < each.heard.end_ms <= region.end_ms
        assert each.heard.duration_ms == min(window, length)
        # A part reaches half a step beyond a window where windows are shorter than their steps.
        assert each.heard.start_ms - hop <= each.part.start_ms <= each.part.end_ms <= each.heard.end_ms + hop
    assert all(other.heard.start_ms - one.heard.start_ms <= hop for one, other in pairwise(windows))


def test_one_doubtful_window_changes_no_speaker() -> None:
    parts = parts_of(*[800] * 5)
    scores = [[1.0, 0.0], [1.0, 0.0], [0.4, 0.6], [1.0, 0.0], [1.0, 0.0]]
    assert most_likely(parts, scores, RULE) == [0] * 5
    scores[2] = [-2.0, 2.0]
    assert most_likely(parts, scores, RULE) == [0, 0, 1, 0, 0]


def test_after_a_pause_a_change_costs_nothing() -> None:
    scores = [[1.0, 0.0], [0.4, 0.6]]
    assert most_likely(parts_of(800, 800, gap_ms=999), scores, RULE) == [0, 1]
    assert most_likely(parts_of(800, 800, gap_ms=100), scores, RULE) == [0, 0]


rows = st.integers(1, 3).flatmap(
    lambda speakers: st.lists(
        st.tuples(st.lists(st.integers(0, 8), min_size=speakers, max_size=speakers), st.integers(0, 1_500)),
        max_size=6,
    )
)


@given(rows)
def test_no_other_path_scores_higher(drawn: list[tuple[list[int], int]]) -> None:
    scores = [[value / 4 for value in row] for row, _ in drawn]
    parts, at = [], 0
    for _, gap_ms in drawn:
        parts.append(Region(at + gap_ms, at + gap_ms + 500))
        at = parts[-1].end_ms

    def total(path: tuple[int, ...]) -> float:
        gained = sum(row[who] for row, who in zip(scores, path, strict=True))
        for (one, before), (other, now) in pairwise(zip(path, parts, strict=True)):
            pause_ms = now.start_ms - before.end_ms
            gained -= RULE.change * max(0.0, 1 - pause_ms / RULE.pause_ms) if one != other else 0
        return gained

    path = most_likely(parts, scores, RULE)
    assert len(path) == len(parts)
    if scores:
        best = max(map(total, product(range(len(scores[0])), repeat=len(scores))))
        assert total(tuple(path)) == pytest.approx(best)


def test_a_short_turn_between_two_of_one_speaker_is_that_ones() -> None:
    turns = turns_of(parts_of(2_000, 400, 2_000), ["A", "B", "A"], [0.9, 0.5, 0.9], RULE)
    assert [each.turn for each in turns] == [Turn(0, 4_400, "A")]
    assert turns[0].members == (0, 1, 2)
    # Alone after a pause, it is somebody's word: yes.
    alone = turns_of(parts_of(2_000, 400, 2_000, gap_ms=500), ["A", "B", "A"], [0.9, 0.5, 0.9], RULE)
    assert [each.turn.speaker for each in alone] == ["A", "B", "A"]


def test_a_turn_is_as_sure_as_its_parts_are_by_their_length() -> None:
    (turn,) = turns_of(parts_of(3_000, 1_000), ["A", "A"], [0.8, 0.4], RULE)
    assert turn.score == pytest.approx(0.7)


@given(st.lists(st.tuples(st.integers(1, 2_000), st.integers(0, 900), st.sampled_from("ABC")), max_size=12))
def test_turns_are_in_order_and_apart_and_cover_what_was_spoken(drawn: list[tuple[int, int, str]]) -> None:
    parts, at = [], 0
    for length, gap, _ in drawn:
        parts.append(Region(at + gap, at + gap + length))
        at = parts[-1].end_ms
    turns = turns_of(parts, [who for *_, who in drawn], [0.5] * len(parts), RULE)
    assert [member for each in turns for member in each.members] == list(range(len(parts)))
    for each in turns:
        first, last = parts[each.members[0]], parts[each.members[-1]]
        assert (each.turn.start_ms, each.turn.end_ms) == (first.start_ms, last.end_ms)
        assert each.score == pytest.approx(0.5)
    for one, other in pairwise(turns):
        assert one.turn.end_ms <= other.turn.start_ms
        assert one.turn.speaker != other.turn.speaker or other.turn.start_ms - one.turn.end_ms > RULE.join_ms
