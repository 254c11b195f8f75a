from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.text import split_words
from stenoflow.tasks.transcript.types import Region, Word
from stenoflow.tasks.transcript.word_timing import align, spread

_spoken = st.sampled_from(["yes", "no", "seven", "mid", "july", "five", "dollars", "the"])
_written = st.sampled_from(["Yes,", "no.", "seven", "mid-July,", "$5", "The", "ß"])


def _timed(texts: list[str]) -> list[Word]:
    return [Word(text, index * 500, index * 500 + 400) for index, text in enumerate(texts)]


@given(st.lists(_written, max_size=30), st.lists(_spoken, max_size=30))
def test_every_written_word_stands_once_in_order_inside_the_bounds(
    written: list[str], spoken: list[str]
) -> None:
    bounds = Region(0, 20_000)
    words = align(written, _timed(spoken), bounds)
    assert [word.text for word in words] == written
    assert all(bounds.start_ms <= word.start_ms <= word.end_ms <= bounds.end_ms for word in words)
    assert all(one.start_ms <= following.start_ms for one, following in pairwise(words))


def test_words_that_differ_in_marks_only_keep_their_exact_times() -> None:
    timed = _timed(["the", "seven", "yes"])
    words = align(["The", "seven:", "Yes!"], timed, Region(0, 2_000))
    assert [(word.start_ms, word.end_ms) for word in words] == [(0, 400), (500, 900), (1_000, 1_400)]


def test_one_written_word_for_two_spoken_takes_the_time_of_both() -> None:
    words = align(["in", "mid-July,", "yes"], _timed(["in", "mid", "july", "yes"]), Region(0, 2_000))
    assert words[1] == Word("mid-July,", 500, 1_400)
    assert words[2] == Word("yes", 1_500, 1_900)


def test_words_without_a_counterpart_share_the_time_between_their_neighbours() -> None:
    words = align(["yes", "and", "no"], [Word("yes", 0, 400), Word("no", 1_000, 1_300)], Region(0, 2_000))
    assert words[1] == Word("and", 400, 1_000)


@given(
    st.lists(_written, min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 900)), min_size=1, max_size=8),
)
def test_spread_words_lie_in_regions_and_in_order(written: list[str], shapes: list[tuple[int, int]]) -> None:
    regions, position = [], 0
    for gap, length in shapes:
        regions.append(Region(position + gap, position + gap + length))
        position += gap + length
    words = spread(written, regions)
    assert [word.text for word in words] == written
    assert all(one.start_ms <= following.start_ms for one, following in pairwise(words))
    for word in words:
        assert any(r.start_ms <= word.start_ms <= word.end_ms <= r.end_ms for r in regions)


def test_marks_that_one_side_has_as_words_of_their_own_move_no_time() -> None:
    text = "今日は会議を始めます。新しい話をしましょう。予算はまだ決まっていません。" * 3
    timed = _timed(list(text))
    # Cut as segments come: some begin with the mark that ends the sentence before.
    written = [word for first in range(0, len(text), 10) for word in split_words(text[first : first + 10])]
    assert any(word == "。" for word in written)
    place = 0
    for word in align(written, timed, Region(0, 500 * len(text))):
        assert abs(word.start_ms - 500 * place) <= 500
        place += len(word.text)
