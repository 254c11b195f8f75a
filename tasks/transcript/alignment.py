"""Alignment: words as written get the times that an aligner found for them in the sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stenoflow.tasks.transcript.types import Region, Utterance, Word
from stenoflow.tasks.transcript.word_timing import fill_gaps

# Where a model says when an utterance was, it is off by less than this.
_MARGIN_MS = 500
# Long enough to find the way in, short enough that a cough does not spoil much.
_PIECE_MS = 15_000


@dataclass(frozen=True, slots=True)
class AlignmentPiece:
    """Words that are to be found in a part of the sound.

    Attributes:
        words: as written.
        region: where they are, in ms.
    """

    words: tuple[str, ...]
    region: Region


def pieces_of(utterances: Iterable[Utterance], duration_ms: int) -> list[AlignmentPiece]:
    """Divide a text by its utterances, whose times are about right.

    Args:
        utterances: in order.
        duration_ms: how long the sound is; no piece leaves it.
    """
    groups: list[list[Utterance]] = []
    for utterance in utterances:
        if groups and groups[-1][-1].end_ms - groups[-1][0].start_ms < _PIECE_MS:
            groups[-1].append(utterance)
        else:
            groups.append([utterance])
    return [
        AlignmentPiece(
            tuple(word.text for each in group for word in each.words),
            Region(
                max(0, min(each.start_ms for each in group) - _MARGIN_MS),
                min(duration_ms, max(each.end_ms for each in group) + _MARGIN_MS),
            ),
        )
        for group in groups
    ]


def with_times(words: Sequence[str], found: Sequence[Region | None], bounds: Region) -> list[Word]:
    """Give words the times that were found, and those that were not the time between their neighbours.

    Starts never go back, whatever was found: what contradicts the word before it is left out.
    """
    placed: list[Word | None] = []
    at_ms = bounds.start_ms
    for text, region in zip(words, found, strict=True):
        if region is None or not at_ms <= region.start_ms <= region.end_ms <= bounds.end_ms:
            placed.append(None)
            continue
        placed.append(Word(text, region.start_ms, region.end_ms))
        at_ms = region.end_ms
    return fill_gaps(words, placed, bounds)
