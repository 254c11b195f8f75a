"""Cutting a text into pieces that a model takes: at the ends of paragraphs and sentences. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sentencex import get_sentence_boundaries

from tasks.speaking.text import is_speakable
from tasks.speech.text import ends_sentence

# A paragraph's end is taken if it does not make the piece shorter than this part of the longest.
_PARAGRAPH_FROM = 0.5
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CLAUSE_END = re.compile(r"[;:,\u2013\u2014\u3001\uff0c\uff1b\uff1a]\s*")
_ENDS_CLAUSE = re.compile(r"[;:,\u2013\u2014\u3001\uff0c\uff1b\uff1a]$")
# How long a voice pauses of its own accord, in ms.
_AFTER_PARAGRAPH, _AFTER_SENTENCE, _AFTER_CLAUSE, _WITHIN = 700, 350, 150, 40


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: [start, end) in characters, without space at its ends."""

    start: int
    end: int


def split_text(text: str, limit: int) -> list[Span]:
    """Cut a text into pieces of ``limit`` characters at most, in order; all but space is in one of them.

    Cuts are at the ends of paragraphs and sentences; within a sentence that is longer than the limit at
    those of clauses, else between words, else anywhere. A piece without a letter or digit is left out.

    Args:
        text: cleaned.
        limit: 1 or more.
    """
    pieces: list[Span] = []
    start = 0
    ends = _Ends(text, limit)
    while start < len(text):
        end = ends.best(start)
        piece = _trimmed(text, start, end)
        if is_speakable(text[piece.start : piece.end]):
            pieces.append(piece)
        start = end
    return pieces


def pause_ms(text: str, before: Span, after: Span) -> int:
    """Return how long a voice would pause between two neighbouring pieces of a text, in ms."""
    if _BLANK_LINE.search(text, before.end, after.start):
        return _AFTER_PARAGRAPH
    last = text[max(before.start, before.end - 8) : before.end]
    if ends_sentence(last) or "\n" in text[before.end : after.start]:
        return _AFTER_SENTENCE
    return _AFTER_CLAUSE if _ENDS_CLAUSE.search(last) else _WITHIN


class _Ends:
    """Where a text may be cut."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._sentences = [each["end_index"] for each in get_sentence_boundaries("en", text)]
        self._paragraphs = [found.end() for found in _BLANK_LINE.finditer(text)]

    def best(self, start: int) -> int:
        """Return where a piece that begins at ``start`` is to end."""
        # What is cut off its ends does not count.
        start += len(self._text[start:]) - len(self._text[start:].lstrip())
        most = start + self._limit
        if len(self._text) <= most:
            return len(self._text)
        least = start + round(self._limit * _PARAGRAPH_FROM)
        paragraph = self._last(self._paragraphs, least, most)
        return paragraph or self._last(self._sentences, start, most) or self._within(start, most)

    def _last(self, ends: list[int], after: int, most: int) -> int | None:
        """Return the last of some ends that makes a piece of no more than ``most``; space may hang over."""
        fits = [end for end in ends if after < end and self._stripped(after, end) <= most]
        return max(fits, default=None)

    def _stripped(self, start: int, end: int) -> int:
        while end > start and self._text[end - 1].isspace():
            end -= 1
        return end

    def _within(self, start: int, most: int) -> int:
        window = self._text[start:most]
        clause = max((found.end() for found in _CLAUSE_END.finditer(window)), default=0)
        if clause > len(window) // 2:
            return start + clause
        space = max((place for place, sign in enumerate(window) if sign.isspace()), default=0)
        if space > 0 and not self._text[most].isspace():
            return start + space + 1
        return self._whole_sign(start, most)

    def _whole_sign(self, start: int, end: int) -> int:
        """Move an end back so that no sign loses its accents."""
        cut = end
        while cut > start + 1 and unicodedata.combining(self._text[cut]):
            cut -= 1
        return cut if cut > start else end


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()))
