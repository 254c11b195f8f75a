from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tasks.speech.cues import NETFLIX, make_cues
from tasks.speech.placing import group
from tasks.speech.text import split_words
from tasks.speech.words import Utterance, Word

_text = st.text(alphabet="abcdefgh", min_size=1, max_size=14)
_marked = st.tuples(_text, st.sampled_from(["", "", "", ",", ".", "?"])).map("".join)


@st.composite
def _words(draw: st.DrawFn) -> list[Word]:
    words, position = [], draw(st.integers(0, 5_000))
    for text in draw(st.lists(_marked, max_size=80)):
        start_ms = position + draw(st.sampled_from([0, 0, 40, 200, 900, 3_000]))
        position = start_ms + draw(st.integers(50, 700))
        words.append(Word(text, start_ms, position))
    return words


@given(_words())
def test_the_words_of_the_cues_are_the_words_in_order(words: list[Word]) -> None:
    cues = make_cues(group(words))
    assert [word for cue in cues for line in cue.lines for word in split_words(line)] == [
        w.text for w in words
    ]


@given(_words())
def test_cues_are_in_order_apart_and_within_the_rules(words: list[Word]) -> None:
    cues = make_cues(group(words))
    for cue in cues:
        assert cue.start_ms < cue.end_ms
        assert len(cue.lines) <= NETFLIX.lines
        assert all(len(line) <= NETFLIX.line_length for line in cue.lines)
        assert cue.end_ms - cue.start_ms <= NETFLIX.longest_ms + NETFLIX.close_gap_ms
    for one, following in pairwise(cues):
        assert one.end_ms <= following.start_ms


def test_a_cue_starts_with_its_first_word() -> None:
    words = [Word("Hello", 1_234, 1_500), Word("there.", 1_600, 1_900), Word("Bye.", 9_000, 9_300)]
    assert [cue.start_ms for cue in make_cues(group(words))] == [1_234, 9_000]


def test_a_short_cue_stays_long_enough_to_be_read() -> None:
    (cue,) = make_cues(group([Word("No.", 1_000, 1_100)]))
    assert cue.end_ms - cue.start_ms == NETFLIX.shortest_ms


def test_a_mark_for_a_missing_stretch_is_a_cue_of_its_whole_time() -> None:
    (cue,) = make_cues([Utterance("[missing 00:01:00-00:03:00]", 60_000, 180_000)])
    assert (cue.start_ms, cue.end_ms, cue.lines) == (60_000, 180_000, ("[missing 00:01:00-00:03:00]",))


def test_lines_are_balanced_and_break_after_marks() -> None:
    text = "When the rain had stopped, they all went out together again."
    words = [Word(word, 100 * i, 100 * i + 90) for i, word in enumerate(text.split())]
    (cue,) = make_cues(group(words))
    assert cue.lines == ("When the rain had stopped,", "they all went out together again.")
