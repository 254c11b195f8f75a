"""Answers that are asked for once more, and utterances that are not to be taken on trust."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.transcript.coverage import cover
from stenoflow.tasks.transcript.quality import (
    SuspectAnswer,
    SuspectReason,
    SuspectUtterance,
    find_language_mismatch,
    find_suspect_reason,
    find_suspect_utterances,
)
from stenoflow.tasks.transcript.types import Region, Timing, Transcript, Utterance, Word

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
    "phrase",
    [
        *("Thank you.", "you", "I'm going to go ahead and do that, ", "Okay, okay. So, ", "감사합니다"),
        *("شكرا للمشاهدة", "اشتركوا في القناة", "תודה רבה", "धन्यवाद", "Спасибо за просмотр!"),
    ],
)
def test_a_phrase_on_and_on_is_strange_wherever_it_begins(phrase: str) -> None:
    text = f"{' '.join(SPEECH)} {' '.join([phrase] * 30)} {' '.join(SPEECH)}"
    assert find_suspect_reason(text, 600_000) is SuspectReason.REPETITION
    assert find_suspect_reason(" ".join([phrase] * 3), 600_000) is None


@pytest.mark.parametrize(
    "phrase",
    [
        "谢谢观看",
        "ご視聴ありがとうございました。",
        "はい、そうです",
        "ขอบคุณครับ",
        "请不吝点赞 订阅 转发 打赏支持栏目",
        "ຂອບໃຈຫຼາຍໆ",
        "ကျေးဇူးတင်ပါတယ်",
        "សូមអរគុណ",
    ],
)
def test_a_phrase_on_and_on_is_strange_in_scripts_without_spaces(phrase: str) -> None:
    assert find_suspect_reason(phrase * 30, 600_000) is SuspectReason.REPETITION
    assert find_suspect_reason(phrase * 2, 600_000) is None


@pytest.mark.parametrize("syllable", ["ha", "a", "아", "हा", "はい"])
def test_a_syllable_on_and_on_in_one_word_is_strange(syllable: str) -> None:
    text = f"{' '.join(SPEECH)} {syllable * 60} {' '.join(SPEECH)}"
    assert find_suspect_reason(text, 600_000) is SuspectReason.REPETITION
    assert find_suspect_reason(f"{syllable * 8} {' '.join(SPEECH)}", 600_000) is None


def test_a_long_word_or_address_is_not() -> None:
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    assert find_suspect_reason(f"{long} https://www.example.org/{long}?a=1", 600_000) is None


def test_laughter_is_not_a_loop() -> None:
    assert find_suspect_reason("哈哈哈哈哈哈哈哈哈哈。你说得对。谢谢谢谢谢谢", 600_000) is None


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


def _said(text: str, start_ms: int = 0, word_ms: int = 300) -> Utterance:
    words = tuple(
        Word(word, start_ms + word_ms * at, start_ms + word_ms * (at + 1))
        for at, word in enumerate(text.split())
    )
    return Utterance(text, start_ms, words[-1].end_ms, words)


def _found(
    *utterances: Utterance, speech: Region | None = None, answers: tuple[SuspectAnswer, ...] = ()
) -> list[set[SuspectUtterance]]:
    end_ms = utterances[-1].end_ms
    heard = speech or Region(0, end_ms)
    coverage = cover(
        end_ms, [heard], [Region(each.start_ms, each.end_ms) for each in utterances if not each.words]
    )
    made = Transcript(end_ms, "en", utterances, coverage, Timing.WORD)
    return [set(reasons) for reasons in find_suspect_utterances(made, answers)]


_PLAIN = _said("and we move on to the next point")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, set()),
        ({"compression_ratio": 2.4, "avg_logprob": -1.0, "no_speech_prob": 0.9}, set()),
        ({"compression_ratio": 2.41}, {SuspectUtterance.COMPRESSION}),
        ({"avg_logprob": -1.01}, {SuspectUtterance.LOGPROB}),
        ({"avg_logprob": -1.01, "no_speech_prob": 0.6}, {SuspectUtterance.LOGPROB}),
        ({"avg_logprob": -1.01, "no_speech_prob": 0.61}, {SuspectUtterance.NO_SPEECH}),
    ],
)
def test_the_models_own_scores_count_as_they_do_for_whisper(
    scores: dict[str, Any], expected: set[SuspectUtterance]
) -> None:
    assert _found(replace(_PLAIN, **scores)) == [expected]


def test_nobody_says_so_many_words_in_a_second() -> None:
    assert _found(_said("one two three four five six", word_ms=124)) == [{SuspectUtterance.RATE}]
    assert _found(_said("one two three four five six", word_ms=126)) == [set()]
    assert _found(_said("one two three", word_ms=10)) == [set()]
    assert _found(_said("議 事 録 を 読 み ま す", word_ms=100)) == [set()]
    assert _found(_said("議 事 録 を 読 み ま す", word_ms=50)) == [{SuspectUtterance.RATE}]


def test_a_phrase_on_and_on_is_marked_over_all_utterances_that_it_fills() -> None:
    loop = [_said("Thank you.", 10_000 + 1_000 * at) for at in range(12)]
    found = _found(_PLAIN, *loop, _said("the motion is carried", 30_000))
    assert found == [set(), *[{SuspectUtterance.REPETITION}] * 12, set()]
    assert _found(_PLAIN, *loop[:5]) == [set()] * 6


def test_what_an_answer_repeats_that_was_not_believed_is_marked() -> None:
    answer = SuspectAnswer(Region(0, 5_000), SuspectReason.REPETITION)
    empty = SuspectAnswer(Region(5_000, 9_000), SuspectReason.EMPTY)
    found = _found(_PLAIN, _said("the motion is carried", 6_000), answers=(answer, empty))
    assert found == [{SuspectUtterance.REPETITION}, set()]


def test_words_where_the_levels_say_that_nobody_speaks_are_marked() -> None:
    silent = _said("thanks for watching", 20_000)
    assert _found(_PLAIN, silent, speech=Region(0, 20_100)) == [set(), {SuspectUtterance.SILENCE}]
    assert _found(_PLAIN, silent, speech=Region(0, 20_300)) == [set(), set()]
    mark = Utterance("[missing 00:00:20-00:00:30]", 20_000, 30_000)
    assert _found(_PLAIN, mark, speech=Region(0, 10_000)) == [set(), set()]
