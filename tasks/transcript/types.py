"""The types of a transcript: words, utterances, stretches, and the whole. Times are in ms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stenoflow.tasks.transcript.text import join_words


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of time, ``start_ms`` inclusive to ``end_ms`` exclusive."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        """Length in milliseconds."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it is written, punctuation included, with its time."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """A timed stretch of transcript (the API's JSON calls it a segment).

    ``words`` may be empty where the API gave none. The three scores are the API's own. ``timing`` is given
    where it is another than that of the whole.
    """

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    no_speech_prob: float | None = None
    timing: Timing | None = None


class Timing(StrEnum):
    """The source of the times of words."""

    WORD = "word"
    """The API timed each word."""
    ALIGNED = "aligned"
    """Each word was found in the sound by an aligner of ours."""
    SEGMENT = "segment"
    """The API timed utterances; words are spread within them."""
    ESTIMATED = "estimated"
    """The API gave no times; words are spread over the regions of speech."""


class Kind(StrEnum):
    """What a stretch of a recording holds."""

    SPEECH = "speech"
    SILENCE = "silence"
    MISSING = "missing"
    SUSPECT = "suspect"
    """No words, and perhaps somebody speaks."""


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
        agreed: in the overlap both have a same word, by which they were joined; else times decided.
        dropped: words that are in both segments, or cut in half, and so left out.
    """

    at_ms: int
    overlap: Region | None = None
    agreed: bool = True
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherLanguage:
    """A segment in another language than the whole.

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
        aligner: found words in the sound, where some did.
    """

    duration_ms: int
    language: str | None
    utterances: tuple[Utterance, ...]
    coverage: tuple[Stretch, ...]
    timing: Timing
    seams: tuple[Seam, ...] = ()
    other_languages: tuple[OtherLanguage, ...] = ()
    translated: bool = False
    aligner: str | None = None

    @property
    def text(self) -> str:
        """Everything said, missing stretches marked."""
        return join_words(utterance.text for utterance in self.utterances)

    @property
    def missing(self) -> tuple[Stretch, ...]:
        """The stretches that could not be transcribed."""
        return tuple(stretch for stretch in self.coverage if stretch.kind is Kind.MISSING)

    @property
    def suspect(self) -> tuple[Stretch, ...]:
        """The stretches that have no words though somebody may speak in them."""
        return tuple(stretch for stretch in self.coverage if stretch.kind is Kind.SUSPECT)
