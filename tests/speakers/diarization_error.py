"""The diarization error rate: how much of what people say is given to nobody or to the wrong one.

As NIST defines it: missed speech, false alarms and confusion over the time of the reference, speakers mapped
one to one so that the least is confused; with a collar, what is near the ends of reference turns is not
scored. Counted in frames of 10 ms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

from stenoflow.tasks.transcript.speakers import Turn

_FRAME_MS = 10


@dataclass(frozen=True, slots=True)
class DiarizationError:
    """Shares of the time of the reference, and how many speakers there are in it and were found."""

    missed: float
    false_alarm: float
    confused: float
    speakers: int
    found: int

    @property
    def rate(self) -> float:
        """The diarization error rate."""
        return self.missed + self.false_alarm + self.confused


def diarization_error(
    reference: Sequence[Turn], found: Sequence[Turn], duration_ms: int, collar_ms: int = 0
) -> DiarizationError:
    """Score turns against the truth.

    Args:
        reference: the truth.
        found: what is scored.
        duration_ms: of the recording.
        collar_ms: so much before and after each end of a reference turn is not scored.
    """
    frames = -(-duration_ms // _FRAME_MS)
    truth, heard = _frames(reference, frames), _frames(found, frames)
    scored = [True] * frames
    for turn in reference if collar_ms else ():
        for edge in (turn.start_ms, turn.end_ms):
            for frame in range(max(0, edge - collar_ms) // _FRAME_MS, (edge + collar_ms) // _FRAME_MS):
                if frame < frames:
                    scored[frame] = False
    kept = [(true, said) for true, said, counts in zip(truth, heard, scored, strict=True) if counts]
    shared = Counter((one, other) for true, said in kept for one in true for other in said)
    mapping = _best_mapping(shared)
    total = sum(len(true) for true, _ in kept) or 1
    missed = sum(max(0, len(true) - len(said)) for true, said in kept)
    false_alarm = sum(max(0, len(said) - len(true)) for true, said in kept)
    right = sum(len(true & {mapping.get(other, "") for other in said}) for true, said in kept)
    both = sum(min(len(true), len(said)) for true, said in kept)
    return DiarizationError(
        missed / total,
        false_alarm / total,
        (both - right) / total,
        len({turn.speaker for turn in reference}),
        len({turn.speaker for turn in found}),
    )


def _frames(turns: Iterable[Turn], frames: int) -> list[frozenset[str]]:
    spoken: list[frozenset[str]] = [frozenset()] * frames
    for turn in turns:
        alone = frozenset((turn.speaker,))
        for frame in range(turn.start_ms // _FRAME_MS, min(frames, turn.end_ms // _FRAME_MS)):
            spoken[frame] |= alone
    return spoken


def _best_mapping(shared: Counter[tuple[str, str]]) -> dict[str, str]:
    """Return who of the reference each found speaker is, so that they share most time."""
    true, said = sorted({one for one, _ in shared}), sorted({other for _, other in shared})
    # All assignments where that is feasible; the few found beyond that speak for nobody long.
    said = sorted(said, key=lambda other: -sum(shared[one, other] for one in true))[:7]
    padded = [*said, *[""] * max(0, len(true) - len(said))]
    best = max(
        permutations(padded, len(true)),
        key=lambda chosen: sum(shared[one, other] for one, other in zip(true, chosen, strict=True)),
    )
    return {other: one for one, other in zip(true, best, strict=True) if other}
