from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.text import ends_sentence, join_words, split_words, spoken_form


@given(st.lists(st.text(alphabet="abcé.,-'", min_size=1), max_size=20))
def test_words_joined_and_split_are_the_words(words: list[str]) -> None:
    assert split_words(join_words(words)) == words


@pytest.mark.parametrize("text", ["今日は、晴れです。", "안녕 하세요", "mixed 日本 text", "a  b"])
def test_splitting_and_joining_loses_nothing_but_space(text: str) -> None:
    assert join_words(split_words(text)).replace(" ", "") == text.replace(" ", "")


def test_an_ideograph_is_a_word_and_keeps_its_mark() -> None:
    assert split_words("晴れです。はい") == ["晴", "れ", "で", "す。", "は", "い"]
    assert join_words(["晴", "れ"]) == "晴れ"
    assert join_words(["see", "晴"]) == "see 晴"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("สวัสดีครับ", ["ส", "วั", "ส", "ดี", "ค", "รั", "บ"]),
        ("เรา ไม่", ["เรา ", "ไม่"]),
        ("ສະບາຍດີ", ["ສະ", "ບາ", "ຍ", "ດີ"]),
        ("မြန်မာ", ["မြန်", "မာ"]),
        ("កម្ពុជា", ["ក", "ម្ពុ", "ជា"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("人々の「声」", ["人", "々", "の", "「声」"]),
    ],
)
def test_scripts_without_spaces_are_cut_between_clusters(text: str, words: list[str]) -> None:
    assert split_words(text) == words
    assert join_words(words) == text


@given(st.text(alphabet="กาเแ็่ำ າເກ်မ္ာင្កា𠮷今、「」a "))
def test_nothing_is_lost_or_doubled_in_any_script(text: str) -> None:
    words = split_words(text)
    assert "".join("".join(words).split()) == "".join(text.split())
    assert split_words(join_words(words)) == words


@pytest.mark.parametrize("word", ["end.", "what?", "“so!”", "だ。", "well…", "etc.)"])
def test_sentence_ends(word: str) -> None:
    assert ends_sentence(word)


def test_what_is_compared_has_no_case_and_no_marks() -> None:
    assert spoken_form("Mid-July,") == "midjuly"
    assert spoken_form("STRASSE") == spoken_form("straße")
