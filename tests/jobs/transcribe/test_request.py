"""The languages that people name."""

from __future__ import annotations

import pytest

from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.request import chosen_language, chosen_languages
from stenoflow.tasks.transcript.languages import NAME_OF


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("english", "en"),
        (" English ", "en"),
        ("en", "en"),
        ("EN", "en"),
        ("en-GB", "en"),
        ("en_us", "en"),
        ("eng", "en"),
        ("deu", "de"),
        ("ger", "de"),
        ("zh-Hant", "zh"),
        ("zh-Hans-CN", "zh"),
        ("cmn", "zh"),
        ("yue", "yue"),
        ("pt-BR", "pt"),
        ("iw", "he"),
        ("nb", "no"),
        ("nn", "nn"),
        ("jv", "jw"),
        ("fil", "tl"),
        ("sr-Latn", "sr"),
        ("Mandarin", "zh"),
        ("auto", None),
        (None, None),
    ],
)
def test_tags_and_names_become_codes(said: str | None, code: str | None) -> None:
    assert chosen_language(said) == code


def test_every_code_and_name_of_the_table_is_taken() -> None:
    for code, name in NAME_OF.items():
        assert chosen_language(code) == chosen_language(name) == code


@pytest.mark.parametrize(
    "said", ["klingon", "tlh", "xx", "en-", "e", "", "zz-ZZ", "1", "en\x00", "und", "mul"]
)
def test_what_no_model_knows_is_refused(said: str) -> None:
    with pytest.raises(SettingsError, match="not known"):
        chosen_language(said)


@pytest.mark.parametrize(
    ("said", "hint"),
    [("germen", "de (german)"), ("englisch", "en (english)"), ("portugese", "pt (portuguese)")],
)
def test_a_slip_is_answered_with_what_is_written_alike(said: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        chosen_language(said)
    assert hint in refused.value.hint


def test_several_count_once_each() -> None:
    assert chosen_languages(["en-GB", "German", "english", ""]) == ("en", "de")
