"""Answers that are asked for once more, and those that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.quality import SuspectReason, find_language_mismatch, find_suspect_reason

SPEECH = [
    *("the", "motion", "is", "carried", "and", "we", "move", "on", "to", "the", "next", "point"),
    *("which", "is", "the", "money", "for", "next", "year"),
]


@pytest.mark.parametrize(("speech_ms", "expected"), [(0, None), (4_999, None), (5_000, SuspectReason.EMPTY)])
@pytest.mark.parametrize("text", ["", " ", "…", "- . !"])
def test_nothing_is_strange_where_somebody_speaks(
    text: str, speech_ms: int, expected: SuspectReason | None
) -> None:
    assert find_suspect_reason(text, speech_ms) is expected


@pytest.mark.parametrize(
    "phrase", ["Thank you.", "you", "I'm going to go ahead and do that, ", "Okay, okay. So, "]
)
def test_a_phrase_on_and_on_is_strange_wherever_it_begins(phrase: str) -> None:
    text = f"{' '.join(SPEECH)} {' '.join([phrase] * 30)} {' '.join(SPEECH)}"
    assert find_suspect_reason(text, 600_000) is SuspectReason.REPETITION
    assert find_suspect_reason(" ".join([phrase] * 3), 600_000) is None


def test_what_is_only_emphatic_is_not() -> None:
    for text in ("no no no no no no", "very, very, very good. Very good!", "one two three " * 5):
        assert find_suspect_reason(text, 600_000) is None


@given(st.lists(st.sampled_from(SPEECH), min_size=1, max_size=400, unique=False))
def test_a_row_is_found_wherever_there_is_one(words: list[str]) -> None:
    looped = [*words, *["again", "and"] * 20, *words]
    assert find_suspect_reason(" ".join(looped), 0) is SuspectReason.REPETITION


def test_numbers_counted_up_are_not() -> None:
    assert find_suspect_reason(" ".join(map(str, range(5_000))), 600_000) is None


HINTS = "Glossary: Anna Kowalczyk, Stenoflow, Ben Okafor, the Zurich office."


@pytest.mark.parametrize(
    "text",
    [
        HINTS,
        "Anna Kowalczyk, Stenoflow, Ben Okafor, the Zurich office.",
        "Anna Kowalczyk, Stenoflow, Ben Okafor. Anna Kowalczyk, Stenoflow, Ben Okafor. Thanks.",
        f"{' '.join(SPEECH)} Glossary: Anna Kowalczyk, Stenoflow",
    ],
)
def test_what_only_says_the_hints_again_is_strange(text: str) -> None:
    assert find_suspect_reason(text, 60_000, HINTS) is SuspectReason.ECHO
    assert find_suspect_reason(text, 60_000) is None


def test_where_little_is_spoken_a_name_alone_is_enough() -> None:
    assert find_suspect_reason("Stenoflow.", 800, HINTS) is SuspectReason.ECHO
    assert find_suspect_reason("Stenoflow.", 800) is None
    assert find_suspect_reason("Thank you.", 800, HINTS) is None


@pytest.mark.parametrize(
    "text",
    [
        f"{' '.join(SPEECH)} said Anna Kowalczyk",
        "Anna Kowalczyk, Stenoflow, Ben Okafor and I are in the Zurich office, and so is everybody else",
        "Ben, Anna, and the rest",
    ],
)
def test_who_uses_the_names_is_believed(text: str) -> None:
    assert find_suspect_reason(text, 60_000, HINTS) is None


def test_ideographs_are_compared_one_by_one() -> None:
    assert (
        find_suspect_reason("山田太郎、鈴木花子", 60_000, "Glossary: 山田太郎, 鈴木花子.")
        is SuspectReason.ECHO
    )


def test_a_language_that_nobody_speaks_is_strange() -> None:
    assert find_language_mismatch("es", ("en", "de"), 60_000) is SuspectReason.LANGUAGE
    assert find_language_mismatch("de", ("en", "de"), 60_000) is None
    assert find_language_mismatch("es", ("en", "de"), 900) is None
    assert find_language_mismatch(None, ("en", "de"), 60_000) is None
