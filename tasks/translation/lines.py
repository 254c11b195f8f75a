"""What was heard in a segment as numbered lines: what a model translates, and whose times are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.audio_api.answers import Answer
from tasks.speech.placing import Heard, group, place
from tasks.speech.words import Region, Utterance

# A model that gives minutes as one utterance would have them translated as one, with one time.
_LONGEST_WORDS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance, or a part of a long one.

    Attributes:
        number: from 1, within its segment.
        start_ms: from the segment's start, in what is sent of it.
        speaker: as the model that heard called them.
    """

    number: int
    start_ms: int
    end_ms: int
    text: str
    speaker: str | None = None

    @property
    def written(self) -> str:
        """As a model reads it: ``[12] Das ist beschlossen.``; one line, whatever stands in it."""
        return f"[{self.number}] {' '.join(self.text.split())}"


def lines_of(answer: Answer, duration_ms: int, speech: Sequence[Region]) -> tuple[Line, ...]:
    """Divide what was heard as the transcript does: as the model did, else by sentences.

    Args:
        answer: what was heard.
        duration_ms: how long what was sent is.
        speech: regions of speech in it, used where the answer has no times.
    """
    placed = place(Heard(answer.text, answer.utterances, answer.words), duration_ms, speech)
    parts = (part for each in placed.utterances if each.words for part in _parts(each))
    return tuple(
        Line(number, each.start_ms, each.end_ms, each.text, each.speaker)
        for number, each in enumerate(parts, 1)
    )


def _parts(utterance: Utterance) -> Iterator[Utterance]:
    if len(utterance.words) <= _LONGEST_WORDS:
        yield utterance
        return
    for part in group(utterance.words):
        yield replace(part, speaker=utterance.speaker)
