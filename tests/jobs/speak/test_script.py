from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.jobs.speak.script import (
    NothingToSayError,
    TextSpan,
    clean,
    is_speakable,
    name_of,
    pause_ms,
    split_text,
)

CHAPTER = (
    "Mr. Smith met Dr. Jones at 3.14 p.m. on Jan. 5. He said hello; then he left. Why?\n\n"
    "A second paragraph begins here. It has two sentences."
)
WORDS = st.text(st.sampled_from("abc de.fg!,; \n\u3002\u4eca\u0301\U0001f600-"), max_size=300)


def pieces(text: str, limit: int) -> list[str]:
    return [text[span.start : span.end] for span in split_text(text, limit)]


@given(WORDS, st.integers(1, 60))
def test_all_that_can_be_said_is_in_one_piece_in_order(text: str, limit: int) -> None:
    spans = split_text(text, limit)
    assert all(0 < span.end - span.start <= limit for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    covered = {place for span in spans for place in range(span.start, span.end)}
    assert all(place in covered for place, sign in enumerate(text) if sign.isalnum())
    assert all(is_speakable(text[span.start : span.end]) for span in spans)


def test_a_text_within_the_limit_is_one_piece() -> None:
    assert pieces(CHAPTER, 4096) == [CHAPTER]


def test_cuts_are_at_the_ends_of_sentences_and_not_after_abbreviations() -> None:
    assert pieces(CHAPTER, 60) == [
        "Mr. Smith met Dr. Jones at 3.14 p.m. on Jan. 5.",
        "He said hello; then he left. Why?",
        "A second paragraph begins here. It has two sentences.",
    ]


def test_a_paragraph_is_kept_whole_where_that_wastes_little() -> None:
    assert pieces(CHAPTER, 100) == CHAPTER.split("\n\n")


def test_a_sentence_that_is_too_long_is_cut_at_a_clause_else_between_words() -> None:
    assert pieces("one two three four, five six seven", 24) == ["one two three four,", "five six seven"]
    assert pieces("one two three four five six seven", 20) == ["one two three four", "five six seven"]
    assert pieces("x" * 10, 4) == ["xxxx", "xxxx", "xx"]


def test_no_sign_loses_its_accents() -> None:
    assert pieces("aaae\u0301bb", 4) == ["aaa", "e\u0301bb"]


def test_scripts_without_spaces_are_cut_at_their_full_stops() -> None:
    text = "\u4eca\u65e5\u306f\u3002\u5143\u6c17\u3067\u3059\u304b\uff1f\u306f\u3044\u3002"
    assert pieces(text, 7) == [
        "\u4eca\u65e5\u306f\u3002",
        "\u5143\u6c17\u3067\u3059\u304b\uff1f",
        "\u306f\u3044\u3002",
    ]


@pytest.mark.parametrize(
    ("text", "ms"),
    [("One.\n\nTwo", 700), ("One. Two", 350), ("One\nTwo", 350), ("One, Two", 150), ("One Two", 40)],
)
def test_a_pause_is_as_long_as_what_stands_there(text: str, ms: int) -> None:
    end = text.index("Two")
    assert pause_ms(text, TextSpan(0, len(text[:end].rstrip())), TextSpan(end, len(text))) == ms


@pytest.mark.parametrize("text", ["", " \n\t", "...", "\U0001f600 \U0001f44d!", "\ufeff\u200b", "\x00"])
def test_what_has_no_word_in_it_is_refused(text: str) -> None:
    with pytest.raises(NothingToSayError) as refused:
        clean(text)
    assert refused.value.exit_code == 4


def test_what_nobody_sees_is_taken_out_and_what_is_said_is_kept() -> None:
    assert (
        clean("\ufeffOne \u2014 two\r\nthree\x00, 3\u20134 \u00bd!\n")
        == "One \u2014 two\nthree, 3\u20134 \u00bd!"
    )
    assert clean("half a pair \ud83d") == "half a pair ?"


def test_a_text_is_called_by_its_first_words() -> None:
    assert name_of("Short") == "Short"
    assert name_of("A longer text,\nwhich goes on and on, and then some more") == (
        "A longer text, which goes on and on, and then…"
    )
