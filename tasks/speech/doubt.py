"""Answers too strange to be believed at once: nothing where somebody speaks, or one phrase for ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby, islice

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


def repeated_words(words: Sequence[str]) -> int:
    """Return how many words the longest row of one phrase is made of; 0 where no row is long enough."""
    return max((len(row) for row in repeated_rows(words)), default=0)


def repeated_rows(words: Sequence[str]) -> Iterator[range]:
    """Yield where one phrase is said again and again, as numbers of words; rows may overlap."""
    for length in range(1, _LONGEST_PHRASE + 1):
        yield from _rows(words, length)


def _rows(words: Sequence[str], length: int) -> Iterator[range]:
    """Yield the rows of a phrase of so many words: where each word equals that many before, long enough."""
    same = (word == before for word, before in zip(islice(words, length, None), words, strict=False))
    first = 0
    for equal, run in groupby(same):
        count = sum(1 for _ in run)
        if equal and length + count >= max(_WORDS, _TIMES * length):
            yield range(first, first + length + count)
        first += count
