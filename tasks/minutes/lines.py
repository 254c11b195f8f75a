"""A transcript as numbered lines, each with its moment: what a model reads, and what it may refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.speech.text import join_words
from tasks.speech.timecode import clock
from tasks.speech.transcript import Transcript
from tasks.speech.words import Utterance

_LONGEST_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line: an utterance, or a part of a long one.

    Attributes:
        number: from 1, by which it is referred to.
        at_ms: when it begins, on the recording's own timeline.
        speaker: who says it, where that is known.
    """

    number: int
    at_ms: int
    speaker: str | None
    text: str

    @property
    def written(self) -> str:
        """As a model reads it: ``[12] 00:12:34 Anna: It was settled.``; one line, whatever stands in it."""
        said = f"{self.speaker}: {self.text}" if self.speaker else self.text
        return f"[{self.number}] {clock(self.at_ms)} {' '.join(said.split())}"


def lines_of(transcript: Transcript) -> tuple[Line, ...]:
    """Return what was said, line by line; what is missing has none, for nobody can refer to it."""
    spoken = (each for each in transcript.utterances if each.words)
    parts = (part for utterance in spoken for part in _parts(utterance))
    return tuple(Line(number, *part) for number, part in enumerate(parts, 1))


def size(text: str) -> int:
    """Estimate how many tokens a text is, on the safe side: English has one in four bytes, others more."""
    return len(text.encode()) // 2 + 1


def _parts(utterance: Utterance) -> Iterator[tuple[int, str | None, str]]:
    """Cut an utterance between words, where it is long: some models give minutes as one."""
    if len(utterance.text.encode()) <= _LONGEST_BYTES:
        yield utterance.start_ms, utterance.speaker, utterance.text
        return
    begun, words, length = utterance.start_ms, list[str](), 0
    for word in utterance.words:
        if words and length + len(word.text.encode()) >= _LONGEST_BYTES:
            yield begun, utterance.speaker, join_words(words)
            words, length = [], 0
        if not words:
            begun = word.start_ms
        length += len(word.text.encode()) + 1
        words.append(word.text)
    yield begun, utterance.speaker, join_words(words)
