from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.alignment import pieces_of, with_times
from stenoflow.tasks.transcript.types import Region, Timing, Utterance, Word
from stenoflow.tasks.transcript.word_timing import (
    AlignedWords,
    UntimedTranscript,
    time_words,
    written_words,
)

_BOUNDS = Region(0, 10_000)


def test_words_that_were_not_found_share_the_time_between_their_neighbours() -> None:
    words = with_times(["a", "b", "c"], [Region(1_000, 1_500), None, Region(3_000, 3_500)], _BOUNDS)
    assert words == [Word("a", 1_000, 1_500), Word("b", 1_500, 3_000), Word("c", 3_000, 3_500)]


def test_a_time_that_goes_back_is_left_out() -> None:
    words = with_times(["a", "b"], [Region(3_000, 3_500), Region(1_000, 1_500)], _BOUNDS)
    assert words[0] == Word("a", 3_000, 3_500)
    assert words[1].start_ms >= 3_500


_FOUND = st.lists(
    st.none()
    | st.tuples(st.integers(-500, 10_500), st.integers(-200, 2_000)).map(lambda t: Region(t[0], sum(t))),
    min_size=1,
    max_size=30,
)


@given(_FOUND)
def test_whatever_was_found_each_word_has_a_time_and_none_goes_back(found: list[Region | None]) -> None:
    written = [f"w{number}" for number in range(len(found))]
    words = with_times(written, found, _BOUNDS)
    assert [word.text for word in words] == written
    assert all(0 <= word.start_ms <= word.end_ms <= 10_000 for word in words)
    assert all(before.start_ms <= word.start_ms for before, word in pairwise(words))


def test_pieces_are_made_of_utterances_and_keep_to_the_sound() -> None:
    utterances = [
        Utterance("a b", at, at + 9_000, (Word("a", at, at + 100), Word("b", at + 200, at + 300)))
        for at in range(0, 40_000, 10_000)
    ]
    pieces = pieces_of(utterances, 39_200)
    assert [word for piece in pieces for word in piece.words] == ["a", "b"] * 4
    assert [piece.region for piece in pieces] == [Region(0, 19_500), Region(19_500, 39_200)]


def test_aligned_words_are_divided_as_the_text_is() -> None:
    answer = UntimedTranscript("Good morning. Who is here?")
    words = tuple(Word(text, 1_000 * n, 1_000 * n + 500) for n, text in enumerate(written_words(answer)))
    timed = time_words(answer, 10_000, [], AlignedWords("an aligner 1", words))
    assert (timed.timing, timed.aligner) == (Timing.ALIGNED, "an aligner 1")
    assert [each.text for each in timed.utterances] == ["Good morning.", "Who is here?"]
    assert timed.utterances[1].start_ms == 2_000


def test_aligned_words_in_a_script_without_blanks_keep_their_places() -> None:
    answer = UntimedTranscript("你好。世界")
    words = tuple(Word(text, 1_000 * n, 1_000 * n + 500) for n, text in enumerate(written_words(answer)))
    timed = time_words(answer, 10_000, [], AlignedWords("an aligner 1", words))
    assert [word for each in timed.utterances for word in each.words] == list(words)
