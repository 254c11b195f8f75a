from __future__ import annotations

import pytest

from stenoflow.tasks.transcript.search_terms import Phrase, passages, phrases_of, terms_of
from stenoflow.tasks.transcript.types import Timing, Transcript, Utterance, Word


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The Budget, for 2027!", ["the", "budget", "for", "2027"]),
        ("Zürich Ærø ΆΛΦΑ ёлка", ["zurich", "ærø", "αλφα", "елка"]),
        ("don't e-mail o'clock", ["don", "t", "e", "mail", "o", "clock"]),
        ("会議は明日。", ["会", "議", "は", "明", "日"]),
        ("ベースが", ["ベー", "ス", "が"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("회의록", ["회의록"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("straße STRASSE", ["strasse", "strasse"]),
        (" \0 ' \" \\ * ", []),
    ],
)
def test_terms_are_words_without_case_and_accents(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


def test_a_cluster_of_thai_is_a_term() -> None:
    assert len(terms_of("การประชุม")) > 3
    assert terms_of("ประชุม")[0] in terms_of("การประชุม")


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("Budget plan", [Phrase(("budget",), is_prefix=True), Phrase(("plan",), is_prefix=True)]),
        ('"next year" up', [Phrase(("next", "year")), Phrase(("up",))]),
        ("up*", [Phrase(("up",), is_prefix=True)]),
        ("明日", [Phrase(("明", "日"))]),
        ('"not closed', [Phrase(("not", "closed"))]),
        ('?! "" \'', []),
    ],
)
def test_a_query_is_words_and_phrases(query: str, phrases: list[Phrase]) -> None:
    assert phrases_of(query) == phrases


def _utterance(first: int, count: int, speaker: str | None) -> Utterance:
    words = tuple(Word(f"w{n}", n * 100, n * 100 + 50) for n in range(first, first + count))
    return Utterance(" ".join(w.text for w in words), first * 100, (first + count) * 100, words, speaker)


def test_passages_are_of_one_speaker_and_not_long() -> None:
    missing = Utterance("[missing 00:00:10-00:00:11]", 10_000, 11_000)
    said = [_utterance(0, 3, "A"), _utterance(3, 3, "B"), missing, _utterance(6, 95, "B")]
    transcript = Transcript(20_000, "en", tuple(said), (), Timing.WORD)
    found = list(passages(transcript))
    assert [(each.start_ms, each.speaker, len(each.text.split())) for each in found] == [
        (0, "A", 3),
        (300, "B", 3),
        (600, "B", 40),
        (4600, "B", 40),
        (8600, "B", 15),
    ]
    assert not any("missing" in each.text for each in found)
