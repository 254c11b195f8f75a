from __future__ import annotations

import pytest

from stenoflow.tasks.transcript.corrections import (
    SpeakerCorrection,
    TextCorrection,
    correct,
    differences,
    new_terms,
    text_in,
    words_in,
)
from stenoflow.tasks.transcript.text import split_words
from stenoflow.tasks.transcript.types import Region, Timing, Transcript, Utterance, Word


def said(start_ms: int, text: str, speaker: str | None = None) -> Utterance:
    words = tuple(
        Word(word, start_ms + 100 * n, start_ms + 100 * n + 80, 0.4)
        for n, word in enumerate(split_words(text))
    )
    return Utterance(text, start_ms, words[-1].end_ms, words, speaker, avg_logprob=-2.0)


def transcript(*utterances: Utterance) -> Transcript:
    return Transcript(60_000, "en", utterances, (), Timing.WORD)


TALK = transcript(said(0, "the new web sight", "A"), said(1000, "is ready", "A"), said(1050, "yes", "B"))


def test_words_that_stay_keep_their_times_and_new_ones_lie_between() -> None:
    made = correct(TALK, [TextCorrection(Region(0, 400), "the new website is", "A")])
    (first, *others) = made.utterances
    assert first.text == "the new website is"
    assert [(word.text, word.start_ms, word.confidence) for word in first.words[:2]] == [
        ("the", 0, 0.4),
        ("new", 100, 0.4),
    ]
    assert all(200 <= word.start_ms <= word.end_ms <= 400 for word in first.words[2:])
    assert [word.confidence for word in first.words[2:]] == [None, None]
    assert first.avg_logprob is None
    assert tuple(others) == TALK.utterances[1:]


def test_only_the_speakers_own_words_are_changed_where_two_speak_at_once() -> None:
    region = Region(1000, 1200)
    assert text_in(TALK, region, "A") == "is ready"
    assert text_in(TALK, region, "B") == "yes"
    made = correct(TALK, [TextCorrection(region, "is almost ready", "A")])
    assert [each.text for each in made.utterances] == ["the new web sight", "is almost ready", "yes"]


def test_a_correction_over_several_utterances_leaves_each_its_part() -> None:
    region = Region(0, 1200)
    made = correct(TALK, [TextCorrection(region, "the new website is ready", "A")])
    assert text_in(made, region, "A") == "the new website is ready"
    assert [each.start_ms for each in made.utterances] == [0, 1000, 1050]
    assert made.utterances[1].text == "is ready"


def test_an_empty_text_takes_words_away_and_one_where_nobody_spoke_adds_them() -> None:
    made = correct(TALK, [TextCorrection(Region(0, 400), "", "A")])
    assert [each.text for each in made.utterances] == ["is ready", "yes"]
    made = correct(TALK, [TextCorrection(Region(5000, 6000), "and that is all", "A")])
    assert made.utterances[-1].text == "and that is all"
    assert (made.utterances[-1].words[0].start_ms, made.utterances[-1].speaker) == (5000, "A")


def test_a_turn_is_assigned_to_somebody_else() -> None:
    made = correct(TALK, [SpeakerCorrection(Region(200, 400), "Carla", "A")])
    assert [(each.speaker, each.text) for each in made.utterances] == [
        ("A", "the new"),
        ("Carla", "web sight"),
        ("A", "is ready"),
        ("B", "yes"),
    ]


def test_corrections_outlive_another_models_words() -> None:
    other = transcript(said(20, "the gnu webs ite", "S1"), said(990, "is reddy", "S1"))
    made = correct(other, [TextCorrection(Region(0, 400), "the new website", "A")])
    assert [each.text for each in made.utterances] == ["the new website", "is reddy"]


def test_no_correction_changes_nothing() -> None:
    assert correct(TALK, []) is TALK


@pytest.mark.parametrize(
    "edited",
    [
        "the new website is ready yes",
        "so the new web sight is ready yes",
        "the new web sight is ready yes indeed",
        "the web is quite ready",
        "全く 違う",
        "the new web sight is ready yes",
    ],
)
def test_an_edited_text_becomes_what_it_says(edited: str) -> None:
    whole = Region(0, 60_000)
    one = transcript(*(said(each.start_ms, each.text) for each in TALK.utterances[:2]), said(1300, "yes"))
    made = correct(one, differences(words_in(one, whole, None), edited))
    assert split_words(text_in(made, whole, None)) == split_words(edited)


def test_what_is_the_same_is_no_difference() -> None:
    assert list(differences(words_in(TALK, Region(0, 900), None), "the new  web\nsight")) == []


@pytest.mark.parametrize(
    ("before", "after", "terms"),
    [
        ("we use kubernetties now", "we use Kubernetes, now", ["Kubernetes"]),
        ("ask ms smith", "ask Ms Ødegård", ["Ms Ødegård"]),
        ("the same in london", "The same in London.", ["London"]),
        ("it is 5", "it is 7", []),
        ("", "so we all met Anna and Ben in Lisbon", ["Anna", "Ben", "Lisbon"]),
        ("会議は東京で", "会議は京都で", ["都"]),
        ("one two", "two", []),
    ],
)
def test_new_names_and_words_are_terms_for_a_glossary(before: str, after: str, terms: list[str]) -> None:
    assert new_terms(before, after) == terms
