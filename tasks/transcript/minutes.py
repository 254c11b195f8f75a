"""Minutes of a meeting, and the numbered lines of a transcript that they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stenoflow.tasks.transcript.text import join_words
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Transcript, Utterance

SECTIONS = ("summary", "decisions", "action_items", "open_questions")
"""The names of the sections, as in the answer."""


def _entries(**more: dict[str, Any]) -> dict[str, Any]:
    properties = {"text": {"type": "string"}, "line": {"type": "integer"}, **more}
    entry = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": entry}


_NAME: Final = {"type": ["string", "null"]}
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        name: _entries(owner=_NAME, due=_NAME) if name == "action_items" else _entries() for name in SECTIONS
    },
    "required": list(SECTIONS),
    "additionalProperties": False,
}
"""The JSON schema of minutes as a chat model writes them."""


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the minutes.

    Attributes:
        line: the number of the transcript's line that it came from; None where it names no real one.
        at_ms: when that is said.
        owner: of an action item.
        due: the same.
    """

    text: str
    line: int | None = None
    at_ms: int | None = None
    owner: str | None = None
    due: str | None = None


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of a meeting, or of a part of it."""

    summary: tuple[Point, ...] = ()
    decisions: tuple[Point, ...] = ()
    action_items: tuple[Point, ...] = ()
    open_questions: tuple[Point, ...] = ()

    def section(self, name: str) -> tuple[Point, ...]:
        """Return one of `SECTIONS`."""
        points: tuple[Point, ...] = getattr(self, name)
        return points


def joined(parts: Iterable[Minutes]) -> Minutes:
    """Put minutes one behind the other."""
    listed = list(parts)
    return Minutes(*(tuple(p for each in listed for p in each.section(name)) for name in SECTIONS))


def notes_of(minutes: Minutes, most: int) -> tuple[TranscriptLine, ...]:
    """Write minutes of a part as lines again, to be summed up with others.

    Args:
        minutes: of a part; points that refer to no line get the number 0, to which nothing can refer.
        most: how many tokens they may be, as `size` counts; what is least in the summary goes first.
    """
    kept, left = list[TranscriptLine](), most
    for name in ("decisions", "action_items", "open_questions", "summary"):
        for line in _notes(name, minutes.section(name)):
            left -= size(line.written)
            if left < 0:
                return tuple(sorted(kept, key=lambda each: each.number))
            kept.append(line)
    return tuple(sorted(kept, key=lambda each: each.number))


def _notes(name: str, points: Iterable[Point]) -> Iterator[TranscriptLine]:
    for point in points:
        facts = [f"owner: {point.owner}"] if point.owner else []
        facts += [f"due: {point.due}"] if point.due else []
        said = f"{point.text} ({', '.join(facts)})" if facts else point.text
        yield TranscriptLine(point.line or 0, point.at_ms or 0, _NOTED[name], said)


_NOTED = {
    "summary": "Summary",
    "decisions": "Decision",
    "action_items": "Action item",
    "open_questions": "Open question",
}


_LONGEST_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class TranscriptLine:
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


def lines_of(transcript: Transcript) -> tuple[TranscriptLine, ...]:
    """Return what was said, line by line; what is missing has none, for nobody can refer to it."""
    spoken = (each for each in transcript.utterances if each.words)
    parts = (part for utterance in spoken for part in _parts(utterance))
    return tuple(TranscriptLine(number, *part) for number, part in enumerate(parts, 1))


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
