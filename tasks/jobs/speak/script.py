"""A text as a script: cleaned, split at sentences, with the pauses between its pieces."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from sentencex import get_sentence_boundaries

from stenoflow.tasks.api.speech import SpeechFormat
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.transcript.text import ends_sentence


@dataclass(frozen=True, slots=True)
class SpeechScript:
    """What is to be spoken.

    Attributes:
        text: cleaned.
        spans: its pieces, in order.
    """

    text: str
    settings: SpeechSettings
    spans: tuple[TextSpan, ...]

    @classmethod
    def of(cls, text: str, settings: SpeechSettings, limit: int) -> SpeechScript:
        """Cut a text into pieces of ``limit`` characters at most."""
        return cls(text, settings, tuple(split_text(text, limit)))

    @property
    def asked(self) -> SpeechFormat:
        """The format that each piece is asked for in."""
        return self.settings.asked_format(len(self.spans))

    @property
    def pieces(self) -> tuple[str, ...]:
        """What each piece says."""
        return tuple(self.text[span.start : span.end] for span in self.spans)

    @property
    def cache_keys(self) -> tuple[str, ...]:
        """Under which the answer for each piece is stored."""
        return tuple(self.settings.cache_key(piece, self.asked) for piece in self.pieces)

    @property
    def pauses(self) -> tuple[int | None, ...]:
        """The pause before each piece in ms; None before the first."""
        return None, *(
            round(pause_ms(self.text, before, after) / self.settings.speed)
            for before, after in pairwise(self.spans)
        )


# A paragraph's end is taken if it does not make the piece shorter than this part of the longest.
_PARAGRAPH_FROM = 0.5
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CLAUSE_END = re.compile(r"[;:,\u2013\u2014\u3001\uff0c\uff1b\uff1a]\s*")
_ENDS_CLAUSE = re.compile(r"[;:,\u2013\u2014\u3001\uff0c\uff1b\uff1a]$")
# How long a voice pauses of its own accord, in ms.
_AFTER_PARAGRAPH, _AFTER_SENTENCE, _AFTER_CLAUSE, _WITHIN = 700, 350, 150, 40


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A piece of a text: [start, end) in characters, without space at its ends."""

    start: int
    end: int


def split_text(text: str, limit: int) -> list[TextSpan]:
    """Cut a text into pieces of ``limit`` characters at most, in order; all but space is in one of them.

    Cuts are at the ends of paragraphs and sentences; within a sentence that is longer than the limit at
    those of clauses, else between words, else anywhere. A piece without a letter or digit is left out.

    Args:
        text: cleaned.
        limit: 1 or more.
    """
    pieces: list[TextSpan] = []
    start = 0
    ends = _Ends(text, limit)
    while start < len(text):
        end = ends.best(start)
        piece = _trimmed(text, start, end)
        if is_speakable(text[piece.start : piece.end]):
            pieces.append(piece)
        start = end
    return pieces


def pause_ms(text: str, before: TextSpan, after: TextSpan) -> int:
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


def _trimmed(text: str, start: int, end: int) -> TextSpan:
    piece = text[start:end]
    return TextSpan(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()))


_NAME_CHARACTERS = 48
# Of what people cannot see, only line ends and tabs mean something to a voice.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\u200b\u2060]")


class NothingToSayError(RefusedError):
    """A text has no word in it."""

    kind = "no-text"
    lies_in_recording = True


def clean(text: str) -> str:
    """Return a text with one kind of line end, and without what nobody can see.

    Raises:
        NothingToSayError: it is empty, or has neither letter nor digit in any script.
    """
    told = text.encode("utf-8", "replace").decode()
    told = _CONTROLS.sub("", told.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not told:
        raise NothingToSayError("there is no text to speak", "give it as an argument, with --file, or as -")
    if not is_speakable(told):
        raise NothingToSayError(
            f"the text is in no language: {told[:40]!r} has neither a letter nor a digit",
            "write out what is to be said",
        )
    return told


def is_speakable(text: str) -> bool:
    """Tell whether there is anything to be said in a text, in any script."""
    return any(sign.isalnum() for sign in text)


def name_of(text: str) -> str:
    """Return the first words of a text, on one line: what it is called in lists."""
    line = " ".join(text[: 4 * _NAME_CHARACTERS].split())
    if len(line) <= _NAME_CHARACTERS:
        return line
    return line[:_NAME_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,;:-") + "…"
