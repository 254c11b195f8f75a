"""How many words have the right speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.engine.conftest import plain, word_error_rate
from tests.speakers.meeting import Meeting

_SPARE_MS = 300


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the words that were heard.

    Attributes:
        words: heard.
        right: of these, with the speaker who speaks at their time.
        wrong: with another.
        nobody: with none.
        error_rate: of the words of each speaker against what that one said, over all.
    """

    words: int
    right: int
    wrong: int
    nobody: int
    error_rate: float

    @property
    def accuracy(self) -> float:
        """The share of words with the right speaker."""
        return self.right / max(1, self.words)


def score(meeting: Meeting, words: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Score:
    """Hold words of transcript.json against the truth; ``names``: people by what they are called there."""
    right = wrong = nobody = 0
    for word in words:
        speaker = names.get(word.get("speaker") or "")
        if speaker is None:
            nobody += 1
        elif speaker in _speaking(meeting, round(500 * (word["start"] + word["end"]))):
            right += 1
        else:
            wrong += 1
    return Score(len(words), right, wrong, nobody, _error_rate(meeting, words, names))


@dataclass(frozen=True, slots=True)
class WordScore:
    """Word error rates of a transcript with speakers.

    Attributes:
        plain: whoever says the words.
        by_speakers: with concatenated minimum permutation (cpWER), as meeteval counts it.
        by_one: cpWER where all words are given to one speaker.
    """

    plain: float
    by_speakers: float
    by_one: float


def word_score(meeting: Meeting, words: Sequence[Mapping[str, Any]]) -> WordScore:
    """Hold words of transcript.json against what was said."""
    # Of the tests' dependencies the slowest to import.
    from meeteval.wer.wer import cp_word_error_rate  # noqa: PLC0415

    said = {
        person: plain(" ".join(each.text for each in meeting.said if each.turn.speaker == person))
        for person in meeting.people
    }
    heard: dict[str, list[str]] = {}
    for word in words:
        heard.setdefault(word.get("speaker") or "nobody", []).append(word["word"])
    streams = {name: plain(" ".join(each)) for name, each in heard.items()}
    everything = plain(" ".join(word["word"] for word in words))
    return WordScore(
        word_error_rate(" ".join(each.text for each in meeting.said), everything),
        float(cp_word_error_rate(said, streams).error_rate),
        float(cp_word_error_rate(said, {"all": everything}).error_rate),
    )


def _speaking(meeting: Meeting, at_ms: int) -> set[str]:
    return {
        each.turn.speaker
        for each in meeting.said
        if each.turn.start_ms - _SPARE_MS <= at_ms < each.turn.end_ms + _SPARE_MS
    }


def _error_rate(meeting: Meeting, words: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> float:
    errors = total = 0.0
    for person in meeting.people:
        said = " ".join(each.text for each in meeting.said if each.turn.speaker == person)
        heard = " ".join(word["word"] for word in words if names.get(word.get("speaker") or "") == person)
        length = len(said.split())
        errors += word_error_rate(said, heard) * length
        total += length
    return errors / total
