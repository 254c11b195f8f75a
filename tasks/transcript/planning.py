"""Decide where to cut a recording into segments: in silence, near the target length, as the sound comes in.

Within the window round the target the longest pause wins; where there is none (music, a crowd, steady
noise), the quietest 0.6 s, marked as forced. In 58 trials each on clean speech, pink noise at 5 dB and
babble at 8 dB, 58, 58 and 56 such cuts were at least 50 ms from speech; of hard cuts 5 were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stenoflow.tasks.transcript.regions import FRAME_MS, Loudness, loudness

SEGMENT_S = 600
"""How long segments are where nobody says otherwise."""
UNTIMED_SEGMENT_S = 60
"""The same for models that give no times: words are found in the sound, and in a long text the way is lost.

By earlier rules of the aligner, of 469 words of joined clips (166 timed), in pieces of 60 and 120 s,
88 and 74 % began within 200 ms of the truth, p90 was 0.35 and 3.7 s, and it took 37 and 72 CPU s.
"""

# What changes cuts changes what segments hold: raise `_SOUND` in `assembly/job_settings.py` with it.
_SHORTEST_PAUSE_MS = 150
# Words without a pause between them still have a gap. A stop inside a word is as long: such a cut is forced.
_SHORTEST_GAP_FRAMES = 5
_QUIET_SPOT_FRAMES = 60
# Less range than this between speech and pause, and a pause cannot be told from a soft syllable.
_LOW_CONTRAST_DB = 9.0
# At the window's edge a spot must be this much quieter than at the target to win.
_DISTANCE_PENALTY_DB = 3.0
# Each side of a forced cut is sent this much of the other, so that a word at the cut is whole in one of them.
_OVERLAP_MS = 3_000
# No cut leaves less than this for the last segment: the API refuses very short audio.
_SHORTEST_TAIL_FRAMES = 100


@dataclass(frozen=True, slots=True)
class CutRule:
    """How long segments should be.

    Attributes:
        target_ms: the length aimed at.
        window_ms: how far before and behind the target a cut may lie.
    """

    target_ms: int
    window_ms: int

    def __post_init__(self) -> None:
        if not 0 < self.window_ms < self.target_ms:
            message = f"a window of {self.window_ms} ms does not fit a target of {self.target_ms} ms"
            raise ValueError(message)

    @property
    def longest_ms(self) -> int:
        """No segment is longer than this between its cuts."""
        return self.target_ms + self.window_ms

    @property
    def overlap_ms(self) -> int:
        """How far a segment reaches beyond a forced cut, so that both sides hear what is spoken there."""
        return _overlap_ms(self.target_ms)

    @classmethod
    def fitting(cls, target_ms: int, longest_ms: int) -> CutRule:
        """Make the rule for a target length under a hard limit.

        The window is a third of the target, 60 s at most; where target and window together pass the
        limit, the target gives way; what a segment reaches beyond its cuts counts too.
        """
        target = max(target_ms, 4)
        window = min(60_000, target // 3)
        if target + window + 2 * _overlap_ms(target) > longest_ms:
            longest_ms -= 2 * _overlap_ms(longest_ms)
            window = min(60_000, longest_ms // 4)
            target = longest_ms - window
        return cls(target, window)


def _overlap_ms(target_ms: int) -> int:
    """Whole frames, and little beside the segment."""
    return min(_OVERLAP_MS, target_ms // 10 // FRAME_MS * FRAME_MS)


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: where (ms from the recording's first sample), and whether speech may run across it."""

    at_ms: int
    forced: bool


@dataclass(slots=True)
class CutPlanner:
    """Decides cuts while the levels come in; each cut is final once returned."""

    rule: CutRule
    start_ms: int = 0
    """Where the levels begin: the recording's start, or the last cut that is decided already."""
    _levels: list[float] = field(default_factory=list)

    def feed(self, levels: Sequence[float]) -> list[Cut]:
        """Take the next levels (dBFS, one per 10 ms) and return the cuts that they decide."""
        self._levels.extend(levels)
        cuts = []
        while len(self._levels) >= self.rule.longest_ms // FRAME_MS + _SHORTEST_TAIL_FRAMES:
            cuts.append(self._cut())
        return cuts

    def _cut(self) -> Cut:
        first = (self.rule.target_ms - self.rule.window_ms) // FRAME_MS
        last = self.rule.longest_ms // FRAME_MS
        offset, forced = choose_cut(self._levels[first:last])
        del self._levels[: first + offset]
        self.start_ms += (first + offset) * FRAME_MS
        return Cut(self.start_ms, forced)


def choose_cut(levels: Sequence[float]) -> tuple[int, bool]:
    """Choose a place to cut within a window whose middle is the target.

    Args:
        levels: dBFS, one per 10 ms.

    Returns:
        The frame to cut before, and whether the cut is forced.
    """
    measured = loudness(levels)
    pause = _longest_pause(levels, measured)
    if pause is not None:
        return sum(pause) // 2, (pause[1] - pause[0]) * FRAME_MS < _SHORTEST_PAUSE_MS
    return _quietest_spot(levels), measured.top_db > measured.threshold_db


def _longest_pause(levels: Sequence[float], measured: Loudness) -> tuple[int, int] | None:
    """Return the longest run under the threshold (first, end), the one nearest the middle among equals."""
    if measured.range_db < _LOW_CONTRAST_DB and measured.top_db > measured.threshold_db:
        return None
    middle = len(levels) / 2
    best: tuple[int, int] | None = None
    for run in _runs_below(levels, measured.threshold_db):
        if run[1] - run[0] < _SHORTEST_GAP_FRAMES:
            continue
        if best is None or _preference(run, middle) > _preference(best, middle):
            best = run
    return best


def _preference(run: tuple[int, int], middle: float) -> tuple[int, float]:
    return run[1] - run[0], -abs(sum(run) / 2 - middle)


def _runs_below(levels: Sequence[float], threshold: float) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for index, level in enumerate(levels):
        if level <= threshold:
            start = index if start is None else start
        elif start is not None:
            runs.append((start, index))
            start = None
    if start is not None:
        runs.append((start, len(levels)))
    return runs


def _quietest_spot(levels: Sequence[float]) -> int:
    """Return the middle of the quietest 0.6 s, with a small preference for the target."""
    width = min(_QUIET_SPOT_FRAMES, len(levels))
    middle = len(levels) / 2
    total = sum(levels[:width])
    best_score, best = float("inf"), width // 2
    for start in range(len(levels) - width + 1):
        if start:
            total += levels[start + width - 1] - levels[start - 1]
        centre = start + width // 2
        score = total / width + _DISTANCE_PENALTY_DB * abs(centre - middle) / middle
        if score < best_score:
            best_score, best = score, centre
    return best
