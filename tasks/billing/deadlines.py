"""The cheapest way that still makes it: who is asked, where work is due at a time of day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

# What is measured of the past holds for the time to come about as well as that.
_MARGIN = 0.8


@dataclass(frozen=True, slots=True)
class Way:
    """A way to have sound transcribed.

    Attributes:
        name: whose it is.
        hour_micro: what an hour of sound costs, in micro-units of one currency; None: unknown.
        speed: how much sound it takes in a time, all its calls together, as a multiple of that time.
    """

    name: str
    hour_micro: int | None
    speed: float


def in_time(ways: Sequence[Way], left_ms: int, until_due_ms: int) -> list[Way]:
    """Return ways in the order in which they are to be asked.

    First those that make it, the cheapest before the others (an unknown price counts as the highest), then
    those that are too slow, the fastest first. Of equals, the one that was named first.

    Args:
        ways: as they were named.
        left_ms: how much sound is yet to be transcribed.
        until_due_ms: how long it is until that is due; 0 or less: it is late.
    """
    usable_ms = max(0.0, until_due_ms * _MARGIN)

    def rank(way: Way) -> tuple[int, float]:
        if way.speed > 0 and left_ms / way.speed <= usable_ms:
            return 0, float("inf") if way.hour_micro is None else way.hour_micro
        return 1, -way.speed

    return sorted(ways, key=rank)


def first_due(due: time, begun: datetime) -> datetime:
    """Return when work is due that was begun at a moment: at the next such time of day, in its time zone."""
    at = begun.replace(hour=due.hour, minute=due.minute, second=0, microsecond=0)
    # By the clock on the wall, over a change of it, too.
    return at if at > begun else at + timedelta(days=1)
