"""Minutes: what is believed of a model's answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.minutes.lines import Line, size

SECTIONS = ("summary", "decisions", "action_items", "open_questions")
"""The names of the sections, as in the answer."""


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


def notes_of(minutes: Minutes, most: int) -> tuple[Line, ...]:
    """Write minutes of a part as lines again, to be summed up with others.

    Args:
        minutes: of a part; points that refer to no line get the number 0, to which nothing can refer.
        most: how many tokens they may be, as `size` counts; what is least in the summary goes first.
    """
    kept, left = list[Line](), most
    for name in ("decisions", "action_items", "open_questions", "summary"):
        for line in _notes(name, minutes.section(name)):
            left -= size(line.written)
            if left < 0:
                return tuple(sorted(kept, key=lambda each: each.number))
            kept.append(line)
    return tuple(sorted(kept, key=lambda each: each.number))


def _notes(name: str, points: Iterable[Point]) -> Iterator[Line]:
    for point in points:
        facts = [f"owner: {point.owner}"] if point.owner else []
        facts += [f"due: {point.due}"] if point.due else []
        said = f"{point.text} ({', '.join(facts)})" if facts else point.text
        yield Line(point.line or 0, point.at_ms or 0, _NOTED[name], said)


_NOTED = {
    "summary": "Summary",
    "decisions": "Decision",
    "action_items": "Action item",
    "open_questions": "Open question",
}
