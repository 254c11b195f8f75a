"""How large what is measured is."""

from __future__ import annotations

from dataclasses import dataclass

SHORT_HOURS = 13 / 60
"""Little more than must be read before the first cut is decided: eleven minutes."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes for all rows.

    Attributes:
        long_hours: the long recording's length.
        hour: the length of what is measured on one hour; less in a quick run.
        runs: how often variants take turns.
    """

    long_hours: float
    hour: float
    runs: int

    @property
    def longest_hours(self) -> float:
        """A recording of a whole day beside one of ten hours."""
        return round(2.4 * self.long_hours, 6)


def scale(hours: float | None, runs: int | None, *, quick: bool) -> Scale:
    """Return the sizes that were asked for."""
    long_hours = hours or (0.4 if quick else 10.0)
    return Scale(long_hours, min(0.25 if quick else 1.0, long_hours), runs or (1 if quick else 3))
