"""How a text is cut into pieces by where its words roughly are, and which place of a word is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.acoustics.pocketsphinx_program import (
    Piece,
    Placed,
    PocketsphinxAligner,
    halves_of,
    joined,
    pieces_of,
)
from tests.real_speech import clip, needs_speech, spoken_words

_CLIP = "sense-0870"


def _words(*starts: int, length: int = 30, score: float = 0.0) -> list[Placed | None]:
    return [(start, start + length, score) for start in starts]


def test_a_text_is_cut_in_pauses_every_few_seconds() -> None:
    rough = _words(0, 100, 200, 290, 400, 500)
    assert [(piece.begin, piece.stop) for piece in pieces_of(rough, 0, 600)] == [(0, 4), (4, 6)]
    assert [(piece.first, piece.end) for piece in pieces_of(rough, 0, 600)] == [(0, 360), (360, 600)]


def test_it_is_not_cut_beside_a_word_whose_place_is_not_sure() -> None:
    rough = _words(0, 100, 200, 290, 400, 500)
    rough[3] = (290, 320, -9.0)
    assert [(piece.begin, piece.stop) for piece in pieces_of(rough, 0, 600)] == [(0, 5), (5, 6)]


def test_what_has_no_text_is_in_no_piece() -> None:
    rough = _words(1_000, 1_040, 3_000, 3_040)
    first, second = pieces_of(rough, 0, 5_000)
    assert (first.first, first.end) == (900, 1_170)
    assert (second.first, second.end) == (2_900, 3_170)


def test_words_that_are_nowhere_go_with_those_beside_them() -> None:
    rough: list[Placed | None] = [None, *_words(100, 500), None, *_words(1_500), None]
    pieces = pieces_of(rough, 0, 2_000)
    assert [(piece.begin, piece.stop) for piece in pieces] == [(0, 2), (2, 6)]
    assert pieces_of([None, None], 0, 50) == [Piece(0, 2, 0, 50)]


_ROUGH = st.lists(
    st.none() | st.tuples(st.integers(0, 900), st.integers(1, 200), st.floats(-20, 0)),
    min_size=1,
    max_size=20,
).map(
    lambda found: [
        each and (start, start + each[1], each[2])
        for each, start in zip(found, sorted(each[0] if each else 0 for each in found), strict=True)
    ]
)


@given(_ROUGH)
def test_each_word_is_in_one_piece_and_each_piece_in_the_sound(rough: list[Placed | None]) -> None:
    pieces = pieces_of(rough, 0, 1_000)
    assert [pieces[0].begin, *(piece.stop for piece in pieces)] == [
        0,
        *(piece.begin for piece in pieces[1:]),
        len(rough),
    ]
    assert all(0 <= piece.first <= piece.end <= 1_100 for piece in pieces)
    for piece in pieces:
        halves = halves_of(piece, rough)
        if halves is not None:
            assert (halves[0].begin, halves[0].stop, halves[1].stop) == (
                piece.begin,
                halves[1].begin,
                piece.stop,
            )
            assert all(half.stop - half.begin >= 2 for half in halves)


def _true(name: str) -> tuple[list[str], list[Placed], bytes]:
    words = spoken_words(name)
    times = [(round(word.start * 100), round(word.end * 100), 0.0) for word in words]
    return [word.text for word in words], times, clip(f"{name}.wav").tobytes()


def _late(found: list[Placed | None], truth: list[Placed]) -> list[int]:
    return [999 if mine is None else abs(mine[0] - true[0]) for mine, true in zip(found, truth, strict=True)]


@needs_speech
def test_near_where_they_roughly_are_words_are_found_exactly_though_others_are_wrong() -> None:
    words, truth, sound = _true(_CLIP)
    wrong = [words[7 * at % len(words)] if at % 5 == 2 else word for at, word in enumerate(words)]
    rough: list[Placed | None] = [(first + 12, end + 12, 0.0) for first, end, _ in truth]
    found = PocketsphinxAligner(wrong, sound).align_near(
        [[word] for word in wrong], rough, 0, len(sound) // 320
    )
    assert None not in found
    assert max(_late(found, truth)) <= 30
    right = [late for late, word, said in zip(_late(found, truth), words, wrong, strict=True) if word == said]
    assert sorted(right)[len(right) * 8 // 10] <= 5


@needs_speech
def test_words_that_are_not_said_stay_where_they_roughly_are() -> None:
    words, truth, sound = _true(_CLIP)
    other = ["seventeen"] * len(words)
    found = PocketsphinxAligner(other, sound).align_near(
        [[word] for word in other], [*truth], 0, len(sound) // 320
    )
    assert max(_late(found, truth)) <= 30


@needs_speech
def test_a_piece_that_ends_with_its_last_word_is_placed() -> None:
    words, truth, sound = _true("sense-0890")
    first, end = truth[1][0], truth[4][1]
    found = PocketsphinxAligner(words, sound).align(words[1:5], first, end, pass_over=False)
    assert found is not None
    assert max(_late(found, truth[1:5])) <= 15
    assert all(first <= begins < ends <= end for begins, ends, _ in filter(None, found))


@needs_speech
@pytest.mark.parametrize(
    ("name", "share"),
    [("mfa-acoustic_corpus", 0.93), pytest.param("mfa-cold_corpus", 0.85, marks=pytest.mark.slow)],
)
def test_where_every_tenth_word_is_wrong_words_are_at_their_places(name: str, share: float) -> None:
    words, truth, sound = _true(name)
    said = [words[7 * at % len(words)] if at % 10 == 5 else word for at, word in enumerate(words)]
    found = PocketsphinxAligner(said, sound).align(said, 0, len(sound) // 320, pass_over=False)
    assert found is not None
    assert sum(late <= 20 for late in _late(found, truth)) >= share * len(words)


def test_words_as_written_take_the_times_of_those_that_are_said() -> None:
    placed: list[Placed | None] = [(0, 5, -1.0), None, (9, 12, -2.0)]
    assert list(joined(placed, [2, 0, 1])) == [(0, 5, -1.0), None, (9, 12, -2.0)]


@pytest.mark.parametrize("words", [[], [[]]])
def test_nothing_to_say_is_nowhere(words: list[list[str]]) -> None:
    if words:
        assert PocketsphinxAligner([], b"").align_near(words, [None], 0, 10) == [None]
    assert list(joined([], [])) == []
