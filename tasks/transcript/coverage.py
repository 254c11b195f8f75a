"""Coverage: the whole duration by speech, silence and missing stretches; and what a recording lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from stenoflow.tasks.transcript.timecode import clock, seconds
from stenoflow.tasks.transcript.types import Kind, Region, Stretch


def cover(
    duration_ms: int, speech: Iterable[Region], missing: Iterable[Region], suspect: Iterable[Region] = ()
) -> tuple[Stretch, ...]:
    """Account for ``0..duration_ms``: missing where missing, else suspect, else speech, else silence.

    Args:
        duration_ms: the whole duration.
        speech: regions of speech; in any order, may overlap.
        missing: what could not be transcribed; wins over all others.
        suspect: what has no words, and perhaps speech; wins over speech.

    Returns:
        Stretches in order, without gap or overlap, neighbours of different kinds.
    """
    missed = _merged(missing, duration_ms)
    suspected = subtract(_merged(suspect, duration_ms), missed)
    spoken = subtract(_merged(speech, duration_ms), [*missed, *suspected])
    marked = sorted(
        [
            *((region, Kind.MISSING) for region in missed),
            *((region, Kind.SUSPECT) for region in suspected),
            *((region, Kind.SPEECH) for region in spoken),
        ],
        key=lambda pair: pair[0].start_ms,
    )
    stretches: list[Stretch] = []
    position = 0
    for region, kind in marked:
        if region.start_ms > position:
            stretches.append(Stretch(position, region.start_ms, Kind.SILENCE))
        stretches.append(Stretch(region.start_ms, region.end_ms, kind))
        position = region.end_ms
    if position < duration_ms:
        stretches.append(Stretch(position, duration_ms, Kind.SILENCE))
    return tuple(stretches)


def missing_mark(stretch: Stretch) -> str:
    """Write the mark that stands in every artifact for a stretch without words, in whole seconds outward."""
    return f"[{stretch.kind} {clock(stretch.start_ms)}-{clock(stretch.end_ms + 999)}]"


def _merged(regions: Iterable[Region], duration_ms: int) -> list[Region]:
    """Order, clip to the duration, and join what touches."""
    merged: list[Region] = []
    for region in sorted(regions, key=lambda region: region.start_ms):
        start, end = max(0, region.start_ms), min(duration_ms, region.end_ms)
        if start >= end:
            continue
        if merged and start <= merged[-1].end_ms:
            merged[-1] = Region(merged[-1].start_ms, max(merged[-1].end_ms, end))
        else:
            merged.append(Region(start, end))
    return merged


def subtract(regions: Iterable[Region], holes: Iterable[Region]) -> list[Region]:
    """Return what is left of regions without holes."""
    left = list(regions)
    for hole in holes:
        left = [piece for region in left for piece in _without(region, hole)]
    return left


def _without(region: Region, hole: Region) -> list[Region]:
    before = Region(region.start_ms, min(region.end_ms, hole.start_ms))
    after = Region(max(region.start_ms, hole.end_ms), region.end_ms)
    return [piece for piece in (before, after) if piece.start_ms < piece.end_ms]


@dataclass(frozen=True, slots=True)
class Integrity:
    """What a recording lacks; falsy where all of it is there.

    Attributes:
        lost_ms: how much at its end was declared and could not be read.
        stretches: what before that could not be decoded, in ms on the recording's own timeline.
        cut_off: it ends before its own mark of the end, which may not say by how much.
        complaints: what the decoder said of it, the last lines.
        clipped: share of the samples of speech that is clipped, where it is large enough to matter; else
            0. It makes nothing missing.
    """

    lost_ms: int = 0
    stretches: tuple[Region, ...] = ()
    cut_off: bool = False
    complaints: tuple[str, ...] = ()
    clipped: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.lost_ms or self.stretches or self.cut_off)

    @classmethod
    def from_stored(cls, lost_ms: int, stored: dict[str, Any] | None) -> Self:
        """Return what was stored with a job's plan: ``lost_ms``, and what `to_dict` gave."""
        stored = stored or {}
        return cls(
            lost_ms,
            tuple(Region(start, end) for start, end in stored.get("stretches", [])),
            stored.get("cut_off", False),
            tuple(stored.get("complaints", [])),
            stored.get("clipped", 0.0),
        )

    def to_dict(self) -> dict[str, Any] | None:
        """Return it for storing; ``lost_ms`` has a column of its own."""
        if not (self or self.complaints or self.clipped):
            return None
        return {
            "stretches": [[region.start_ms, region.end_ms] for region in self.stretches],
            "cut_off": self.cut_off,
            "complaints": list(self.complaints),
            **({"clipped": self.clipped} if self.clipped else {}),
        }

    def to_json(self) -> dict[str, Any] | None:
        """Describe it for the JSON of commands and the manifest; None where the recording is sound."""
        if not self:
            return None
        return {
            "missing_seconds": seconds(self.lost_ms + sum(each.duration_ms for each in self.stretches)),
            "cut_off": self.cut_off,
            "reason": self.reason,
            "decoder": list(self.complaints),
        }

    @property
    def reason(self) -> str:
        """Say it in a few words."""
        said = []
        if self.lost_ms:
            said.append(f"the last {self.lost_ms / 1000:.1f} s that it declares are not there")
        elif self.cut_off:
            said.append("it breaks off before its own end; by how much it does not say")
        if self.stretches:
            where = ", ".join(clock(each.start_ms) for each in self.stretches[:3])
            said.append(f"{len(self.stretches)} stretches cannot be decoded (at {where})")
        return "; ".join(said)
