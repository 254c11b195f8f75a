"""A recording's transcript: what was said, and an account of its whole duration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tasks.speech.text import join_words
from tasks.speech.words import Region, Utterance


class Timing(StrEnum):
    """What the times of words rest on."""

    WORD = "word"
    """The API timed each word."""
    SEGMENT = "segment"
    """The API timed utterances; words are spread within them."""
    ESTIMATED = "estimated"
    """The API gave no times; words are spread over the regions of speech."""


class Kind(StrEnum):
    """What a stretch of a recording holds."""

    SPEECH = "speech"
    SILENCE = "silence"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the recording's timeline, in ms."""

    start_ms: int
    end_ms: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Seam:
    """Where two segments meet.

    Attributes:
        at_ms: the cut.
        overlap: what both were sent; None for a cut in silence.
        agreed: in the overlap both heard a same word, by which they were joined; else times decided.
        dropped: the words that were heard twice, or in part, and so left out.
    """

    at_ms: int
    overlap: Region | None = None
    agreed: bool = True
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherLanguage:
    """A segment in which another language was heard than in the whole.

    Attributes:
        segment: its number.
        language: ISO 639-1.
    """

    start_ms: int
    end_ms: int
    segment: int
    language: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole transcript; times in ms on the recording's own timeline.

    Attributes:
        coverage: every millisecond of the duration, without gap or overlap.
        language: ISO 639-1 code, or None where nobody spoke.
        seams: where segments meet, in order.
        other_languages: the segments that disagree with ``language``, in order.
        translated: it says in English what was said in another language.
    """

    duration_ms: int
    language: str | None
    utterances: tuple[Utterance, ...]
    coverage: tuple[Stretch, ...]
    timing: Timing
    seams: tuple[Seam, ...] = ()
    other_languages: tuple[OtherLanguage, ...] = ()
    translated: bool = False

    @property
    def text(self) -> str:
        """Everything said, missing stretches marked."""
        return join_words(utterance.text for utterance in self.utterances)

    @property
    def missing(self) -> tuple[Stretch, ...]:
        """The stretches that could not be transcribed."""
        return tuple(stretch for stretch in self.coverage if stretch.kind is Kind.MISSING)
