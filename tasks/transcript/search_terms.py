"""Split transcripts into passages, and passages and queries into the terms that a search compares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stenoflow.tasks.transcript.text import is_unspaced, join_words, split_words
from stenoflow.tasks.transcript.types import Transcript, Word

# Short enough that the moment of a hit is near to what was looked for, long enough for a phrase.
_MOST_WORDS = 40
_LEAST_WORDS = 15
_LONGEST_TERM = 100
_MOST_TERMS = 32
# Shorter words are the beginning of too many others.
_LEAST_PREFIX = 4
# Scripts in which marks are accents that people leave out when they search: Latin, Greek, Cyrillic.
_ACCENTED_BEFORE = 0x0530
_QUOTED = re.compile(r'"([^"]*)"?|(\S+)')


@dataclass(frozen=True, slots=True)
class TextPassage:
    """A stretch of a transcript that is found as one.

    Attributes:
        speaker: who speaks in it, as the artifacts call them; None: not told.
    """

    start_ms: int
    speaker: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Terms that stand one behind the other.

    Attributes:
        is_prefix: the last term may be the beginning of a longer one.
    """

    terms: tuple[str, ...]
    is_prefix: bool = False


def passages(transcript: Transcript) -> Iterator[TextPassage]:
    """Yield what was said, in passages of one speaker; missing stretches are left out."""
    words: list[Word] = []
    speaker: str | None = None
    for utterance in transcript.utterances:
        if words and (utterance.speaker != speaker or len(words) >= _LEAST_WORDS):
            yield from _cut(words, speaker)
            words = []
        speaker = utterance.speaker
        words.extend(utterance.words)
    yield from _cut(words, speaker)


def _cut(words: Sequence[Word], speaker: str | None) -> Iterator[TextPassage]:
    for first in range(0, len(words), _MOST_WORDS):
        some = words[first : first + _MOST_WORDS]
        yield TextPassage(some[0].start_ms, speaker, join_words(word.text for word in some))


def terms_of(text: str) -> list[str]:
    """Return the terms of a text in order: words without case, accents and punctuation.

    In scripts without spaces, each ideograph or cluster is a term, so that any part of a sentence is found.
    """
    terms: list[str] = []
    for piece in split_words(_fold(text)):
        if is_unspaced(piece):
            found = ["".join(char for char in piece if _is_kept(char))]
        else:
            found = "".join(char if _is_kept(char) else " " for char in piece).split()
        terms.extend(term[:_LONGEST_TERM] for term in found if term)
    return terms


def phrases_of(query: str) -> list[Phrase]:
    """Return what a user searches for: words, all of which must be there, and phrases in quotation marks."""
    phrases: list[Phrase] = []
    for quoted, word in _QUOTED.findall(query):
        terms = tuple(terms_of(quoted or word)[:_MOST_TERMS])
        if not terms:
            continue
        may_go_on = not quoted and not is_unspaced(terms[-1])
        is_prefix = may_go_on and (len(terms[-1]) >= _LEAST_PREFIX or word.endswith("*"))
        phrases.append(Phrase(terms, is_prefix))
    return phrases[:_MOST_TERMS]


def _fold(text: str) -> str:
    """Take away case and accents; marks that are letters of their own in other scripts stay."""
    folded: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold()):
        is_mark = unicodedata.category(char) == "Mn"
        if is_mark and base and ord(base) < _ACCENTED_BEFORE:
            continue
        if not is_mark:
            base = char
        folded.append(char)
    return unicodedata.normalize("NFC", "".join(folded))


def _is_kept(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char).startswith("M")
