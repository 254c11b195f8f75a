"""Answers too strange to be believed at once: nothing where somebody speaks, or one phrase for ever."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby

from tasks.speech.text import spoken_form

# So much that was taken for speech, and not a word, is strange; less may have been a cough.
_AUDIBLE_MS = 5_000
# A phrase of up to 12 words is said again at once: six times in a row, and 24 words in all.
_LONGEST_PHRASE = 12
_TIMES = 6
_WORDS = 24


class Doubt(StrEnum):
    """Why an answer is not believed at once."""

    EMPTY = "empty"
    """No word, though somebody speaks."""
    REPETITION = "repetition"
    """A phrase again and again, as models do that have lost their way."""


def doubt(text: str, speech_ms: int) -> Doubt | None:
    """Say why an answer is strange; None where it is not.

    Args:
        text: all that was heard.
        speech_ms: for how long somebody speaks in what was sent, as its levels say.
    """
    words = [spoken for word in text.split() if (spoken := spoken_form(word))]
    if not words:
        return Doubt.EMPTY if speech_ms >= _AUDIBLE_MS else None
    return Doubt.REPETITION if repeated_words(words) else None


def repeated_words(words: list[str]) -> int:
    """Return how many words the longest row of one phrase is made of; 0 where no row is long enough."""
    return max(_longest_row(words, length) for length in range(1, _LONGEST_PHRASE + 1))


def _longest_row(words: list[str], length: int) -> int:
    """Return the longest row of a phrase of so many words, by how long each word equals that many before."""
    same = (word == before for word, before in zip(words[length:], words, strict=False))
    row = length + max((sum(1 for _ in run) for equal, run in groupby(same) if equal), default=0)
    return row if row >= max(_WORDS, _TIMES * length) else 0
