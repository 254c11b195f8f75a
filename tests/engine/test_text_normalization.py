"""The normalization of text for a voice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stenoflow.tasks.engine.text_normalization import main_script, plain


def test_text_is_written_in_plain_letters() -> None:
    assert (
        plain("It\u2019s a \u201ccaf\u00e9\u201d in \u0141\u00f3d\u017a\u2026") == 'It\'s a "cafe" in Lodz...'
    )
    assert plain("yes \u2013 no") == "yes ,  no"
    assert plain("5 \u20ac \u738b") == "5  euros   "


@given(st.text())
@settings(max_examples=50)
def test_plain_letters_are_ascii_and_what_was_stays(text: str) -> None:
    assert plain(text).isascii()
    ascii_text = "".join(char for char in text if " " <= char <= "~")
    assert plain(ascii_text) == ascii_text


@pytest.mark.parametrize(
    ("text", "script_name"),
    [
        ("Hello 42", "LATIN"),
        ("42", "LATIN"),
        ("Привет, Anna", "CYRILLIC"),
        ("早上好 ok", "CJK"),
        ("नमस्ते", "DEVANAGARI"),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, script_name: str) -> None:
    assert main_script(text) == script_name
