"""The language of a meeting: who votes, when it is agreed on, and who is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.languages import (
    NAME_OF,
    Vote,
    agreed_on,
    is_free,
    language_code,
    language_to_tell,
    likeliest,
)


@pytest.mark.parametrize(
    ("said", "code"),
    [("english", "en"), ("English", "en"), ("en", "en"), ("en-GB", "en"), ("zh_TW", "zh"), ("klingon", None)],
)
def test_names_and_codes_become_codes(said: str, code: str | None) -> None:
    assert language_code(said) == code


def test_every_name_leads_back_to_its_code() -> None:
    assert len(NAME_OF) == 100
    assert all(language_code(name) == code for code, name in NAME_OF.items())
    assert language_code(None) is None


LANGUAGES = st.sampled_from(["en", "de", "fr"])
VOTES = st.dictionaries(st.integers(0, 40), st.builds(Vote, LANGUAGES, st.integers(0, 600_000)), max_size=20)


def votes(*said: str, speech_ms: int = 60_000) -> list[Vote]:
    return [Vote(language, speech_ms) for language in said]


@pytest.mark.parametrize(
    ("said", "language"),
    [
        (votes("de", "de"), None),
        (votes("de", "de", "de"), "de"),
        (votes("de", "de", "en"), None),
        (votes("de", "de", "en", "de"), "de"),
        ([*votes("de", "de", "de"), Vote("en", 300_000)], None),
        ([*votes("de", "de"), Vote("de", 1_000)], None),
        ([], None),
    ],
)
def test_three_with_much_to_say_must_agree_by_what_is_spoken(said: list[Vote], language: str | None) -> None:
    assert agreed_on(said) == language


def test_all_but_every_fourth_are_told_what_was_agreed_on() -> None:
    heard = {0: Vote("de", 60_000), 4: Vote("de", 60_000)}
    told = [language_to_tell(index, "de", heard) for index in range(8)]
    assert told == [None, "de", "de", "de", None, "de", "de", "de"]
    assert {language_to_tell(index, None, heard) for index in range(8)} == {None}


def test_next_to_one_that_hears_something_else_the_model_finds_out_by_itself() -> None:
    heard = {0: Vote("de", 60_000), 4: Vote("en", 60_000), 8: Vote("de", 60_000), 9: Vote("fr", 60_000)}
    told = [language_to_tell(index, "de", heard) for index in range(12)]
    assert told == [None] * 9 + ["de"] * 3
    # A guess at a cough is no reason.
    assert language_to_tell(5, "de", {4: Vote("en", 800)}) == "de"


@pytest.mark.parametrize("code", ["yue", "haw", "jw"])
def test_a_code_that_not_every_server_takes_is_told_only_if_somebody_says_so(code: str) -> None:
    assert language_to_tell(1, code, {}) is None


def test_the_likeliest_of_several_is_the_one_heard_most() -> None:
    assert likeliest(votes("de", "fr", "fr"), ("en", "fr", "de")) == "fr"
    assert likeliest(votes("es"), ("en", "fr")) == "en"


@given(VOTES, st.integers(0, 50), LANGUAGES)
def test_nobody_is_told_anything_but_what_was_agreed_on(
    heard: dict[int, Vote], index: int, agreed: str
) -> None:
    told = language_to_tell(index, agreed, heard)
    assert told in {None, agreed}
    assert told is None or not is_free(index)


@given(VOTES)
def test_what_is_agreed_on_has_three_quarters_of_what_is_spoken(heard: dict[int, Vote]) -> None:
    strong = [vote for vote in heard.values() if vote.speech_ms >= 5_000]
    agreed = agreed_on(heard.values())
    if agreed is not None:
        weight = sum(vote.speech_ms for vote in strong if vote.language == agreed)
        assert weight * 4 >= 3 * sum(vote.speech_ms for vote in strong)
        assert len(strong) >= 3
