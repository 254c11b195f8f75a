"""Where two transcriptions differ by more than models do, in answers that were damaged on purpose."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.second_opinion import (
    Difference,
    DifferenceKind,
    Heard,
    Opinion,
    compare,
    still_open,
)
from stenoflow.tasks.transcript.types import Region, Word

_WORD_MS = 400
_TEXT = """
Good morning and thank you for coming. There are three things to talk about today, the new website, the
money for next year and the people from London. The first version is ready and the team has been testing
it for a week. We found two problems with the search page, and both of them are small. My suggestion is
to buy three computers and to save the other half. Five people will arrive on Monday evening and they
will stay until Thursday.
"""
_SAID = _TEXT.split()
_LENGTH_MS = len(_SAID) * _WORD_MS
_ELSE = "the green parcels were shipped on friday because nobody had asked whether anyone would want them"
_OTHER = _ELSE.split()


def _heard(words: list[str]) -> list[Word]:
    return [Word(word, at * _WORD_MS, (at + 1) * _WORD_MS) for at, word in enumerate(words)]


def _compared(said: list[str], heard: list[str] | None = None) -> list[tuple[str, int, int]]:
    """Return kind, first and last word of each difference."""
    found = compare(" ".join(said), Heard(tuple(_heard(_SAID if heard is None else heard))), _LENGTH_MS)
    return [
        (each.kind.value, each.region.start_ms // _WORD_MS, each.region.end_ms // _WORD_MS) for each in found
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (_SAID[:20] + _SAID[34:], [("omission", 20, 34)]),
        (_SAID[12:], [("omission", 0, 12)]),
        (_SAID[: len(_SAID) // 2], [("omission", len(_SAID) // 2, len(_SAID))]),
        ([], [("omission", 0, len(_SAID))]),
        (_SAID[:20] + _SAID[16:20] * 10 + _SAID[20:], [("loop", 16, 16)]),
        (_SAID + _OTHER, [("invention", len(_SAID), len(_SAID))]),
        (_SAID[:30] + _OTHER + _SAID[30:], [("invention", 30, 30)]),
        (_SAID[:30] + _OTHER + _SAID[46:], [("otherwise", 30, 46)]),
    ],
    ids=["middle", "beginning", "half", "all", "loop", "end", "inserted", "replaced"],
)
def test_damage_is_found_where_it_is(said: list[str], expected: list[tuple[str, int, int]]) -> None:
    assert _compared(said) == expected


def test_what_models_write_otherwise_is_no_difference() -> None:
    said = (
        " ".join(_SAID)
        .upper()
        .replace("THREE", "3")
        .replace("LONDON", "Londen")
        .replace("MONDAY", "a Monday")
    )
    assert _compared(said.split()) == []
    assert _compared(_SAID) == []
    assert _compared([word for at, word in enumerate(_SAID) if at % 9]) == [], "a word here and there"


def test_words_that_nobody_heard_are_invented() -> None:
    assert _compared(_OTHER, []) == [("invention", 0, len(_SAID))]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    said = "今日は三つのことについて話します。新しいウェブサイトと来年のお金とロンドンの人たちです。"
    heard = Heard(tuple(Word(each, at * 100, at * 100 + 100) for at, each in enumerate(said)))
    assert compare(said, heard, 5_000) == ()
    (lost,) = compare(said[:10], heard, 5_000)
    assert (lost.kind, lost.region.start_ms) == (DifferenceKind.OMISSION, 1_000)


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d e", "-"]), max_size=60),
    st.lists(st.sampled_from("abcd"), max_size=60),
)
def test_differences_lie_in_the_sound_in_order(said: list[str], heard: list[str]) -> None:
    found = compare(" ".join(said), Heard(tuple(_heard(heard))), 60 * _WORD_MS)
    assert all(0 <= each.region.start_ms <= each.region.end_ms <= 60 * _WORD_MS for each in found)
    assert all(each.region.start_ms <= following.region.start_ms for each, following in pairwise(found))


def test_an_omission_that_was_filled_since_is_none() -> None:
    differences = [
        Difference(DifferenceKind.OMISSION, Region(0, 4 * _WORD_MS), 4),
        Difference(DifferenceKind.INVENTION, Region(0, 4 * _WORD_MS), 4),
    ]
    assert still_open(differences, _heard(_SAID[:2])) == (differences[1],)
    assert still_open(differences, _heard(_SAID[:1])) == (*differences,)


def test_an_opinion_is_read_as_it_was_written() -> None:
    opinion = Opinion("base", (Difference(DifferenceKind.LOOP, Region(5, 70), 12),))
    assert Opinion.from_json(opinion.to_json()) == opinion


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("and we can not wait until Thursday", "and we can wait until Thursday"),
        ("and we can wait until Thursday", "and we can't wait until Thursday"),
        ("I said that is the plan for now", "I said that isn't the plan for now"),
        ("wir haben heute keine gute Idee gehabt", "wir haben heute eine gute Idee gehabt"),
    ],
)
def test_a_negation_that_only_one_has_is_found(said: str, heard: str) -> None:
    assert [kind for kind, *_ in _compared(said.split(), heard.split())] == ["negation"]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("it will cost $3.5M in all we think", "it will cost $3.6M in all we think"),
        ("all the 15 people who came were late", "all the fifty people who came were late"),
        ("they met in 1998 for the first time", "they met in nineteen ninety-nine for the first time"),
        ("it is due on 2027-02-26 at the latest", "it is due on 2027-02-27 at the latest"),
    ],
)
def test_another_number_is_found(said: str, heard: str) -> None:
    assert [kind for kind, *_ in _compared(said.split(), heard.split())] == ["number"]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("and we cannot wait until Thursday", "and we can't wait until Thursday"),
        ("so we do not know it yet", "so we don't know it yet"),
        ("it was 1,500 people in that year", "it was fifteen hundred people in that year"),
        ("they met in 1998 for the first time", "they met in nineteen ninety-eight for the first time"),
        ("there are 3 well-known ways to go", "there are three well known ways to go"),
        ("I know that he came two days ago", "I no that he came to days ago"),
    ],
)
def test_a_word_that_is_written_otherwise_is_not(said: str, heard: str) -> None:
    assert _compared(said.split(), heard.split()) == []


def test_what_the_other_one_is_not_sure_of_says_nothing() -> None:
    heard = (
        Word(word, at * 400, at * 400 + 400, 0.3 if word == "fifty" else 0.9)
        for at, word in enumerate(["all", "the", "fifty", "people", "who", "came", "late"])
    )
    assert compare("all the 15 people who came late", Heard(tuple(heard)), 3_000) == ()


@pytest.mark.parametrize("by_ms", [3_000, -3_000])
def test_words_at_other_times_are_found_where_they_are(by_ms: int) -> None:
    times = [
        Word(each.text, max(0, each.start_ms + by_ms * (at >= 20)), each.end_ms + 5_000)
        for at, each in enumerate(_heard(_SAID))
    ]
    heard = Heard(tuple(_heard(_SAID)))
    (found,) = compare(_TEXT, heard, _LENGTH_MS, times)
    assert (found.kind, found.region.start_ms // _WORD_MS) == (DifferenceKind.SHIFTED, 20)
    assert compare(_TEXT, heard, _LENGTH_MS, heard.words) == ()


def test_what_the_second_opinion_passed_over_is_no_invention() -> None:
    words = _heard(_SAID)
    heard = (*words[:20], *words[50:])
    speech = Region(20 * _WORD_MS, 50 * _WORD_MS)
    assert compare(_TEXT, Heard(heard, (speech,)), _LENGTH_MS) == ()
    (music,) = compare(_TEXT, Heard(heard), _LENGTH_MS)
    assert (music.kind, music.region) == (DifferenceKind.INVENTION, speech)


def test_more_than_fits_into_what_the_second_opinion_passed_over_is_one() -> None:
    words = _heard(_SAID)
    heard = Heard((*words[:20], *words[50:]), (Region(20 * _WORD_MS, 20 * _WORD_MS + 4_000),))
    (found,) = compare(_TEXT, heard, _LENGTH_MS)
    assert found.kind is DifferenceKind.INVENTION
