"""What is said and when: words, utterances, and the regions of a recording in which anyone speaks.

Every time is in integer milliseconds; which zero it counts from (a segment's start or the
recording's) is said by whoever holds it.
"""

from __future__ import annotations

from dataclasses import dataclass


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

    ``words`` may be empty where the API gave none. The three scores are the API's own.
    """

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    no_speech_prob: float | None = None
