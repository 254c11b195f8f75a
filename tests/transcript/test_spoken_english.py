from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.spoken_english import NUMBER_WORDS, number_of, spoken_english


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("“Hello,”", "hello"),
        ("don\u2019t", "don't"),
        ("well-known", "well known"),
        ("café", "cafe"),
        ("—", ""),
        ("7", "seven"),
        ("21st", "twenty first"),
        ("12th,", "twelfth"),
        ("40th", "fortieth"),
        (f"{'1' * 5_000}st", "one " * 5_000),
        ("007", "zero zero seven"),
        ("1,250", "one thousand two hundred fifty"),
        ("1905", "nineteen o five"),
        ("2005", "two thousand five"),
        ("2027", "twenty twenty seven"),
        ("1900", "nineteen hundred"),
        ("2027-02-26", "february twenty sixth twenty twenty seven"),
        ("10:30", "ten thirty"),
        ("3.14", "three point one four"),
        ("$3.5M", "three point five million dollars"),
        ("£20", "twenty pounds"),
        ("50%", "fifty percent"),
        ("5kg", "five kilograms"),
        ("R&D", "r and d"),
        ("U.S.", "u s"),
        ("Mr.", "mister"),
        ("NATO", "nato"),
    ],
)
def test_what_is_written_is_said_so(written: str, said: str) -> None:
    assert spoken_english(written) == said.split()


@given(st.text(max_size=20))
def test_any_text_gives_words_that_a_dictionary_may_have(written: str) -> None:
    for word in spoken_english(written):
        assert word
        assert not any(char.isspace() or char.isdecimal() for char in word)


@given(st.integers(0, 10**14))
def test_any_number_is_said(number: int) -> None:
    assert spoken_english(str(number))
    assert spoken_english(f"${number:,}")[-1] == "dollars"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("fifteen hundred", "1500"),
        ("one thousand five hundred", "1500"),
        ("nineteen ninety eight", "1998"),
        ("two thousand twenty six", "2026"),
        ("twenty twenty six", "2026"),
        ("one zero five", "105"),
        ("twenty first", "21"),
        ("two million three hundred thousand", "2300000"),
        ("hundred twenty thirty", "12030"),
    ],
)
def test_a_number_is_the_same_however_it_is_said(said: str, expected: str) -> None:
    assert number_of(said.split()) == expected


@given(st.integers(0, 10**9))
def test_a_number_is_read_back_as_it_is_said(number: int) -> None:
    said = spoken_english(f"{number:,}")
    assert NUMBER_WORDS.issuperset(said)
    assert number_of(said) == str(number)
