"""Stretches that could not be decoded, told apart from silence.

A decode fills what it cannot decode with zeros, so that everything behind keeps its time. A recorder that
was muted writes zeros too. Where the decoder complained, the packets under such stretches are tried again,
one by one: those that yield nothing are damage.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stenoflow.tasks.media.levels import SILENCE_DB
from stenoflow.tasks.media.probe import AudioStream
from stenoflow.tasks.media.running import OverdueError
from stenoflow.tasks.media.safe_open import opened
from stenoflow.tasks.media.worker import reading
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.types import Region

# No word is shorter.
_SHORTEST_MS = 100
# Of more there is no need to know; they go to the worker as an argument.
_MOST = 2_000
_ANSWER_BYTES = 1 << 20


@dataclass(slots=True)
class Zeros:
    """Finds the stretches of nothing but zeros in a decode, from its levels.

    Attributes:
        found: in ms of the decode; the last one may still be going on.
    """

    found: list[Region] = field(default_factory=list)
    _frames: int = 0
    _since: int | None = None

    def add(self, levels: Sequence[float]) -> None:
        """Take the levels of the next frames of 10 ms."""
        for level in levels:
            if level > SILENCE_DB:
                self._end()
            elif self._since is None:
                self._since = self._frames
            self._frames += 1

    def finish(self) -> Sequence[Region]:
        """Return the stretches of 0.1 s and more."""
        self._end()
        return self.found

    def _end(self) -> None:
        if self._since is not None and len(self.found) < _MOST:
            stretch = Region(self._since * FRAME_MS, self._frames * FRAME_MS)
            if stretch.duration_ms >= _SHORTEST_MS:
                self.found.append(stretch)
        self._since = None


def find_gaps(
    path: Path, stream: AudioStream, zeros: Sequence[Region], *, cpu_s: float = 600.0
) -> tuple[Region, ...]:
    """Say which of the zeros of a decode stand for what could not be decoded.

    Args:
        path: the recording.
        stream: which of its streams was decoded.
        zeros: stretches in ms of the decode, from `Zeros`.
        cpu_s: the longest that it may take of processor time; what is not found out by then is silence.

    Returns:
        Stretches of 0.1 s and more, in ms on the recording's own timeline.
    """
    asked = [
        [(stream.origin_ms + each.start_ms) / 1000, (stream.origin_ms + each.end_ms) / 1000] for each in zeros
    ]
    answer = _ask_worker(path, [str(stream.index), json.dumps(asked)], cpu_s)
    spans = [Region(round(start * 1000), round(end * 1000)) for start, end in answer]
    return tuple(span for span in spans if span.duration_ms >= _SHORTEST_MS)


def _ask_worker(path: Path, question: list[str], cpu_s: float) -> list[tuple[float, float]]:
    with opened(path) as file, reading("gaps", file, question, cpu_s=cpu_s) as run:
        try:
            answer: list[tuple[float, float]] = json.loads(run.read(_ANSWER_BYTES))
        except (OverdueError, ValueError):  # not answered in time, or crashed by the file
            return []
        return answer
