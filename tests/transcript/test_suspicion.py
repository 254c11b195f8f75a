"""Utterances that are not to be taken on trust, and those that are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stenoflow.tasks.transcript.coverage import cover
from stenoflow.tasks.transcript.quality import (
    SuspectAnswer,
    SuspectReason,
    SuspectUtterance,
    find_suspect_utterances,
)
from stenoflow.tasks.transcript.types import Region, Timing, Transcript, Utterance, Word


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
