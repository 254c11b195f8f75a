from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.seams import match_seam
from stenoflow.tasks.transcript.types import Region, Word

_CUT, _OVERLAP = 60_000, Region(57_000, 63_000)


def _spoken(texts: list[str], start_ms: int, step_ms: int = 250) -> list[Word]:
    return [Word(text, start_ms + step_ms * i, start_ms + step_ms * i + 230) for i, text in enumerate(texts)]


def _heard(truth: list[Word], from_ms: int, to_ms: int, *, shift_ms: int = 0) -> list[Word]:
    """Hear what lies between; a word that is cut off there is misheard."""
    heard = []
    for word in truth:
        start, end = max(word.start_ms, from_ms), min(word.end_ms, to_ms)
        if start < end:
            whole = (start, end) == (word.start_ms, word.end_ms)
            heard.append(Word(word.text if whole else "mumble", start + shift_ms, end + shift_ms))
    return heard


def _joined(left: list[Word], right: list[Word], *, timed: bool = True) -> list[str]:
    meeting = match_seam(left, right, _CUT, _OVERLAP, timed=timed)
    return [word.text for word in (*left[: meeting.left], *right[meeting.right :])]


@given(
    st.lists(st.sampled_from(["no", "yes", "well", "the", "a"]), min_size=40, max_size=60),
    st.integers(50_000, 56_000),
    st.integers(-150, 150),
    st.integers(180, 450),
)
def test_each_word_stands_once_however_often_it_is_said(
    texts: list[str], start_ms: int, shift_ms: int, step_ms: int
) -> None:
    truth = _spoken(texts, start_ms, step_ms)
    left = _heard(truth, 0, _OVERLAP.end_ms)
    right = _heard(truth, _OVERLAP.start_ms, 10**9, shift_ms=shift_ms)
    if shift_ms > step_ms // 2 or len(set(texts)) < 3:
        return
    assert _joined(left, right) == texts


@given(st.integers(0, 2**32))
def test_spread_words_join_by_what_is_said(seed: int) -> None:
    random_ = random.Random(seed)
    texts = [f"w{number}" for number in range(60)]
    truth = _spoken(texts, 51_000)
    left = _heard(truth, 0, _OVERLAP.end_ms, shift_ms=random_.randint(-2_000, 2_000))
    right = _heard(truth, _OVERLAP.start_ms, 10**9, shift_ms=random_.randint(-2_000, 2_000))
    assert _joined(left, right, timed=False) == texts


def test_without_a_word_in_common_times_decide_and_none_across_the_cut_is_lost() -> None:
    left = _spoken(["a", "b", "c"], _CUT - 350, 240)
    right = [Word(text, word.start_ms - 60, word.end_ms - 60) for word, text in zip(left, "xyz", strict=True)]
    assert len(_joined(left, right)) == 3


@pytest.mark.parametrize("shift_ms", range(-120, 121, 20))
def test_a_word_across_the_cut_that_is_heard_differently_stands_once(shift_ms: int) -> None:
    left = [Word("before", 59_000, 59_600), Word("their", 59_880, 60_120)]
    right = [Word("there", 59_880 + shift_ms, 60_120 + shift_ms), Word("after", 60_500, 60_900)]
    joined = _joined(left, right)
    assert (joined[0], joined[-1], len(joined)) == ("before", "after", 3)


def test_what_only_one_side_has_is_kept_on_its_own_side() -> None:
    truth = _spoken([str(number) for number in range(40)], 55_000)
    left, right = _heard(truth, 0, 63_000), _heard(truth, 57_000, 10**9)
    before = [word.text for word in truth if word.start_ms + word.end_ms < 2 * _CUT]
    after = [word.text for word in truth if word.start_ms + word.end_ms >= 2 * _CUT]
    assert _joined(left, []) == before
    assert _joined([], right) == after


@given(st.data())
def test_both_parts_are_beginnings_and_ends_of_what_was_heard(data: st.DataObject) -> None:
    def words(first_ms: int, last_ms: int) -> list[Word]:
        starts = sorted(data.draw(st.lists(st.integers(first_ms, last_ms), max_size=30)))
        return [Word(data.draw(st.sampled_from("abc.")), start, start + 200) for start in starts]

    left, right = words(50_000, _OVERLAP.end_ms), words(_OVERLAP.start_ms, 70_000)
    meeting = match_seam(left, right, _CUT, _OVERLAP, timed=data.draw(st.booleans()))
    assert 0 <= meeting.left <= len(left)
    assert 0 <= meeting.right <= len(right)
    kept = [*left[: meeting.left], *right[meeting.right :]]
    assert all(one.start_ms <= two.start_ms + 6_000 + 600 for one, two in pairwise(kept))
