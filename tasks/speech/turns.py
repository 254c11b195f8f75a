"""Who speaks when, as a diariser said it, brought to the words of a transcript."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from tasks.speech.stitching import of_words
from tasks.speech.transcript import Transcript
from tasks.speech.words import Utterance, Word

# Diarisers and engines differ by as much on where speech ends: a word outside all turns is of one so near.
_NEAR_MS = 500


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one person speaks, in ms on the recording's timeline."""

    start_ms: int
    end_ms: int
    speaker: str


def assign(transcript: Transcript, turns: Iterable[Turn]) -> Transcript:
    """Say of each word who speaks it; utterances are split where that changes.

    A word goes to the turn that it shares most time with, else to the nearest within half a second, else to
    nobody. Where two turns share as much with it, whoever spoke before goes on.
    """
    ordered = sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms, turn.speaker))
    speakers = iter(_speakers(transcript.utterances, ordered))
    parts: list[Utterance] = []
    for utterance in transcript.utterances:
        if not utterance.words:
            parts.append(utterance)
            continue
        said = [(next(speakers), word) for word in utterance.words]
        for speaker, words in groupby(said, key=lambda pair: pair[0]):
            part = of_words(utterance, [word for _, word in words])
            parts.append(replace(part, speaker=speaker))
    return replace(transcript, utterances=tuple(parts))


def _speakers(utterances: Iterable[Utterance], turns: Sequence[Turn]) -> list[str | None]:
    """Return who speaks each word, in the order of the words."""
    words = [word for utterance in utterances for word in utterance.words]
    speakers: list[str | None] = [None] * len(words)
    near: list[Turn] = []
    coming = iter([*turns, None])
    turn = next(coming)
    before: str | None = None
    for number in sorted(range(len(words)), key=lambda number: words[number].start_ms):
        word = words[number]
        while turn is not None and turn.start_ms < word.end_ms + _NEAR_MS:
            near.append(turn)
            turn = next(coming)
        near = [each for each in near if each.end_ms > word.start_ms - _NEAR_MS]
        before = _speaker(word, near, before)
        speakers[number] = before
    return speakers


def _speaker(word: Word, near: Sequence[Turn], before: str | None) -> str | None:
    best = max(near, key=lambda turn: (_shared(word, turn), turn.speaker == before), default=None)
    return None if best is None or _shared(word, best) <= -_NEAR_MS else best.speaker


def _shared(word: Word, turn: Turn) -> int:
    """Return how many ms a word and a turn share; below 0, how far they are apart."""
    end_ms = max(word.end_ms, word.start_ms + 1)
    return min(end_ms, turn.end_ms) - max(word.start_ms, turn.start_ms)


def names(turns: Iterable[Turn]) -> Iterator[str]:
    """Yield who speaks, in the order in which they begin to."""
    yield from dict.fromkeys(turn.speaker for turn in sorted(turns, key=lambda turn: turn.start_ms))
