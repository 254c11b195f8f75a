"""Answers too strange to be believed at once.

Nothing where somebody speaks, one phrase for ever, nothing but the hints that the model was given, or a
language that nobody speaks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from itertools import groupby, islice

from tasks.speech.text import split_words, spoken_form

# So much that was taken for speech, and not a word, is strange; less may have been a cough.
_AUDIBLE_MS = 5_000
# A phrase of up to 12 words is said again at once: six times in a row, and 24 words in all.
_LONGEST_PHRASE = 12
_TIMES = 6
_WORDS = 24
# Of an answer, in percent, and in rows of so many words: then it is the hints that were given.
_ECHOED = 80
_ROW = 3
HEADING = "Glossary"
"""What a list of terms is called in a prompt, so that it reads like a sentence."""


class Doubt(StrEnum):
    """Why an answer is not believed at once."""

    EMPTY = "empty"
    """No word, though somebody speaks."""
    REPETITION = "repetition"
    """A phrase again and again, as models do that have lost their way."""
    ECHO = "echo"
    """The prompt or the glossary, as models say that hear nothing."""
    LANGUAGE = "language"
    """It is in none of the languages that are spoken."""


def doubt(text: str, speech_ms: int, hints: str = "") -> Doubt | None:
    """Say why an answer is strange; None where it is not.

    Args:
        text: all that was heard.
        speech_ms: for how long somebody speaks in what was sent, as its levels say.
        hints: what the model was told beforehand.
    """
    words = [spoken for word in text.split() if (spoken := spoken_form(word))]
    if not words:
        return Doubt.EMPTY if speech_ms >= _AUDIBLE_MS else None
    if hints and _echoes(_spoken(text), _spoken(hints), speech_ms):
        return Doubt.ECHO
    return Doubt.REPETITION if repeated_words(words) else None


def doubt_language(heard: str | None, spoken: Collection[str], speech_ms: int) -> Doubt | None:
    """Say whether the language that was heard is strange where only some are spoken."""
    strange = heard is not None and heard not in spoken and speech_ms >= _AUDIBLE_MS
    return Doubt.LANGUAGE if strange else None


def _spoken(text: str) -> list[str]:
    return [spoken for word in split_words(text) if (spoken := spoken_form(word))]


def _echoes(words: list[str], hints: list[str], speech_ms: int) -> bool:
    """Tell whether nearly all words stand in the hints, row by row; where little is spoken, one by one.

    A single row is enough where it is the beginning of the hints with their heading.
    """
    if hints[0] == HEADING.lower() and tuple(hints[: _ROW + 1]) in _rows_of(words, _ROW + 1):
        return True
    length = 1 if speech_ms < _AUDIBLE_MS else _ROW
    known = set(_rows_of(hints, length))
    echoed: set[int] = set()
    for place, row in enumerate(_rows_of(words, length)):
        if row in known:
            echoed.update(range(place, place + length))
    return len(echoed) * 100 >= len(words) * _ECHOED


def _rows_of(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[place : place + length]) for place in range(len(words) - length + 1))


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
