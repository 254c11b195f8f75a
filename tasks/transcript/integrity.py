"""The integrity of a recording: whether it is cut short, cannot be decoded in parts, or is clipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from stenoflow.tasks.transcript.timecode import clock, seconds
from stenoflow.tasks.transcript.types import Region


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
