"""Dividing a long meeting: parts that fit into a model's context, and steps that sum up what came of them.

All is decided before the first question, by sizes alone: what an answer may have at most is known. So a job
that was broken off goes on with the same steps, and what is to come can be counted and priced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# Of what stands in the middle of more than this, models leave out too much.
_LARGEST_PART = 60_000
# The longest line of a transcript fits.
_LEAST_READ = 1_200


class NoRoomError(ValueError):
    """A model's context is too small for even a short part."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much goes into one question, in tokens as `tasks.minutes.lines.size` counts them.

    Attributes:
        read: lines or notes.
        notes: what one answer, written as notes, may take of that.
    """

    read: int
    notes: int

    @classmethod
    def of(cls, context: int, answer: int, around: int) -> Room:
        """Work it out.

        Args:
            context: the model's, in tokens.
            answer: what an answer may have.
            around: what a question has besides what is read.

        Raises:
            NoRoomError: too little is left.
        """
        read = min(context - answer - around, _LARGEST_PART)
        if read < _LEAST_READ:
            message = f"{context} tokens, less {answer} for the answer and {around} for the question"
            raise NoRoomError(message)
        # In bytes, an answer is about twice what its tokens are counted as here.
        return cls(read, min(2 * answer, read // 2))


@dataclass(frozen=True, slots=True)
class Step:
    """One question.

    Attributes:
        first: the first line that it is about, counted from 0.
        end: the one behind the last.
        of: the steps whose answers it sums up; none, where it reads the lines themselves.
    """

    index: int
    first: int
    end: int
    of: tuple[int, ...] = ()


def plan(sizes: Sequence[int], room: Room) -> tuple[Step, ...]:
    """Divide lines into steps, each behind those that it sums up; the last one is about all lines.

    Args:
        sizes: of the lines.
        room: of a question; a line that is larger gets a step of its own.
    """
    steps = [Step(index, *part) for index, part in enumerate(_parts(sizes, room.read))]
    level = list(steps)
    at_once = max(2, room.read // room.notes)
    while len(level) > 1:
        level = [_summed_up(steps, group) for group in _groups(level, at_once)]
    return tuple(steps)


def _summed_up(steps: list[Step], group: Sequence[Step]) -> Step:
    """Return the step that sums a group up, added to all steps; one alone needs none."""
    if len(group) == 1:
        return group[0]
    step = Step(len(steps), group[0].first, group[-1].end, tuple(each.index for each in group))
    steps.append(step)
    return step


def _parts(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Fill parts evenly: as few as there must be, and none much shorter than the others."""
    total = sum(sizes)
    if not sizes:
        return []
    aim = -(-total // max(1, -(-total // most)))
    parts, first, size = list[tuple[int, int]](), 0, 0
    for index, each in enumerate(sizes):
        if index > first and (size + each > most or size >= aim):
            parts.append((first, index))
            first, size = index, 0
        size += each
    return [*parts, (first, len(sizes))]


def _groups(level: Sequence[Step], at_once: int) -> list[Sequence[Step]]:
    """Put neighbours together, in groups of about the same number."""
    count = -(-len(level) // at_once)
    edges = [round(number * len(level) / count) for number in range(count + 1)]
    return [level[first:end] for first, end in pairwise(edges)]
