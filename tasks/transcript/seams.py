"""Seams: where two segments overlap, which words to take from which, so that each is there once.

Both were sent the sound round a forced cut. Words that both have, at about the same time, tie the two
together; of these ties the one nearest the cut is taken, since there both had the most sound round it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stenoflow.tasks.transcript.text import spoken_form
from stenoflow.tasks.transcript.types import Region, Word

# Two transcriptions of one word differ by up to this where an engine times words.
_TIMED_APART_MS = 600


@dataclass(frozen=True, slots=True)
class SeamMatch:
    """How two sequences of words join.

    Attributes:
        left: how many of the left one's words are kept.
        right: how many of the right one's words are left out.
        agreed: both have a same word there; otherwise the times alone decided.
    """

    left: int
    right: int
    agreed: bool


def match_seam(
    left: Sequence[Word], right: Sequence[Word], cut_ms: int, overlap: Region, *, timed: bool
) -> SeamMatch:
    """Join the words of two segments that overlap.

    Args:
        left: words of the earlier one, by time, on one timeline with ``right``.
        right: words of the later one.
        cut_ms: where the cut is.
        overlap: what both were sent.
        timed: whether both engines timed each word; spread ones may be seconds off.
    """
    reach_ms = 0 if timed else overlap.duration_ms
    zone = Region(overlap.start_ms - reach_ms, overlap.end_ms + reach_ms)
    lefts = [index for index, word in enumerate(left) if word.end_ms > zone.start_ms]
    rights = [index for index, word in enumerate(right) if word.start_ms < zone.end_ms]
    ties = _ties(left, right, lefts, rights, _TIMED_APART_MS if timed else zone.duration_ms)
    if not ties:
        return _by_time(left, right, cut_ms)
    one, other = min(ties, key=lambda tie: abs(_middle(left[tie[0]]) + _middle(right[tie[1]]) - 2 * cut_ms))
    return SeamMatch(one + 1, other + 1, agreed=True)


def _ties(
    left: Sequence[Word], right: Sequence[Word], lefts: Sequence[int], rights: Sequence[int], apart_ms: int
) -> list[tuple[int, int]]:
    """Align the two in order, for the most words in common, nearest in time among equals."""
    best = [[(0.0, 0)] * (len(rights) + 1) for _ in range(len(lefts) + 1)]
    for row in range(len(lefts) - 1, -1, -1):
        for column in range(len(rights) - 1, -1, -1):
            likeness = _likeness(left[lefts[row]], right[rights[column]], apart_ms)
            choices = [(best[row + 1][column][0], 1), (best[row][column + 1][0], 2)]
            if likeness:
                choices.append((best[row + 1][column + 1][0] + likeness, 3))
            best[row][column] = max(choices)
    ties, row, column = [], 0, 0
    while row < len(lefts) and column < len(rights):
        step = best[row][column][1]
        if step == 3:
            ties.append((lefts[row], rights[column]))
        row += step & 1
        column += step >> 1
    return ties


def _likeness(one: Word, other: Word, apart_ms: int) -> float:
    """Return 0 for different words, else 1 to 2, the more the nearer in time."""
    distance_ms = abs(one.start_ms - other.start_ms)
    if distance_ms > apart_ms or _said(one) != _said(other):
        return 0.0
    return 2.0 - distance_ms / (apart_ms + 1)


def _said(word: Word) -> str:
    return spoken_form(word.text) or word.text


def _by_time(left: Sequence[Word], right: Sequence[Word], cut_ms: int) -> SeamMatch:
    """Take each word from the side that its middle lies on; the one across the cut from one side only."""
    one = sum(_middle(word) < cut_ms for word in left)
    other = sum(_middle(word) < cut_ms for word in right)
    if one < len(left) and other and _at_once(left[one], right[other - 1]):
        # Each has it on the other's side.
        return SeamMatch(one + 1, other, agreed=False)
    if one and other < len(right) and _at_once(left[one - 1], right[other]):
        return SeamMatch(one, other + 1, agreed=False)
    return SeamMatch(one, other, agreed=False)


def _at_once(one: Word, other: Word) -> bool:
    """Tell whether two are the same stretch of sound, by the half of the shorter."""
    shared_ms = min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms)
    return 2 * shared_ms >= max(1, min(one.end_ms - one.start_ms, other.end_ms - other.start_ms))


def _middle(word: Word) -> float:
    return (word.start_ms + word.end_ms) / 2
