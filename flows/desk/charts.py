"""Pictures made here, as what an SVG in a page is drawn from: bars over time, and over a recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Kind, Region, Transcript

WIDTH = 1000
"""Units across a picture."""
# What is shorter than this could not be seen.
_LEAST_WIDTH = 1.5
_SMALL = {Kind.MISSING, Kind.SUSPECT}
_MOST_PARTS = 2000


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: where it is drawn, what kind it is of, and what it says when it is pointed at."""

    x: float
    width: float
    kind: str
    says: str
    start_ms: int


@dataclass(frozen=True, slots=True)
class CoverageBar:
    """What a recording holds over its whole length.

    Attributes:
        shares: per cent of the length, by kind.
    """

    parts: tuple[Part, ...]
    shares: dict[str, float]

    @property
    def summary(self) -> str:
        """The same in words."""
        return ", ".join(f"{share:.0f}% {kind}" for kind, share in self.shares.items() if share >= 0.5)


def coverage_bar(transcript: Transcript, suspect: Iterable[Region]) -> CoverageBar:
    """Draw speech, silence and what is missing, and over it what is suspect."""
    length = max(1, transcript.duration_ms)
    whole = [(Region(each.start_ms, each.end_ms), each.kind) for each in transcript.coverage]
    suspected = [region for region, kind in whole if kind is Kind.SUSPECT]
    stretches: list[tuple[Region, Kind]] = [each for each in whole if each[1] is not Kind.SUSPECT]
    stretches += [(region, Kind.SUSPECT) for region in _merged([*suspected, *suspect])]
    shares = dict.fromkeys((kind.value for kind in Kind), 0.0)
    for region, kind in stretches:
        shares[kind.value] += 100 * region.duration_ms / length
    # What is missing is drawn last, and at least so wide that it is seen.
    order = [Kind.SILENCE, Kind.SPEECH, Kind.SUSPECT, Kind.MISSING]
    drawn = sorted(stretches, key=lambda each: order.index(each[1]))
    parts = [_part(region, kind, length) for region, kind in drawn[-_MOST_PARTS:]]
    return CoverageBar(tuple(parts), shares)


def _part(region: Region, kind: Kind, length: int) -> Part:
    width = max(WIDTH * region.duration_ms / length, _LEAST_WIDTH if kind in _SMALL else 0.2)
    says = f"{kind.value} {clock(region.start_ms)} to {clock(region.end_ms)}"
    return Part(
        round(WIDTH * region.start_ms / length, 2), round(width, 2), kind.value, says, region.start_ms
    )


def _merged(regions: Iterable[Region]) -> list[Region]:
    merged: list[Region] = []
    for region in sorted(regions, key=lambda each: each.start_ms):
        if merged and region.start_ms <= merged[-1].end_ms:
            merged[-1] = Region(merged[-1].start_ms, max(merged[-1].end_ms, region.end_ms))
        else:
            merged.append(region)
    return merged


@dataclass(frozen=True, slots=True)
class Bar:
    """A column of a chart: its place and height, what it is of, and how much."""

    x: float
    width: float
    height: float
    label: str
    value: int
    is_labelled: bool


def columns(values: Sequence[tuple[str, int]], height: int = 160) -> list[Bar]:
    """Draw a column for each value; the highest is as high as the picture."""
    most = max((value for _, value in values), default=0) or 1
    room = WIDTH / max(1, len(values))
    every = max(1, round(len(values) / 8))
    return [
        Bar(
            round(place * room + room * 0.12, 2),
            round(room * 0.76, 2),
            round(height * value / most, 2) if value > 0 else 0.0,
            label,
            value,
            (len(values) - 1 - place) % every == 0,
        )
        for place, (label, value) in enumerate(values)
    ]
