"""Recordings whose packets lie about when they are: later, earlier, all at once, or at random."""

from __future__ import annotations

import random

from tests.hostile.originals import KINDS, Originals
from tests.hostile.packing import Change, with_flv_times, with_granules, with_pts
from tests.hostile.truncation import Files

_20_MINUTES_S = 20 * 60
_PTS_HZ = 90_000
_RATE = 48_000


def false_times(originals: Originals) -> Files:
    """Yield Ogg with other granule positions, and MPEG transport streams and FLV with other times."""
    for kind in ("opus", "ogg"):
        for label, change in _granules(originals[kind]).items():
            yield f"{kind}.{label}.{KINDS[kind].suffix}", with_granules(originals[kind], change)
    for label, seconds in (("later", _20_MINUTES_S), ("earlier", -_20_MINUTES_S)):
        yield f"half-{label}.flv", with_flv_times(originals["flv"], _from_the_middle(seconds * 1000))
        yield f"half-{label}.ts", with_pts(originals["mpegts"], _from_the_middle(seconds * _PTS_HZ))
    chance = random.Random("times")
    yield (
        "at-random.ts",
        with_pts(originals["mpegts"], lambda _, ticks: ticks + chance.randrange(10 * _PTS_HZ)),
    )
    yield "wrapping.ts", with_pts(originals["mpegts"], lambda _, ticks: ticks + (1 << 33) - 6 * _PTS_HZ)
    yield "all-at-once.ts", with_pts(originals["mpegts"], lambda _, __: _PTS_HZ)


def _granules(whole: bytes) -> dict[str, Change]:
    pages = whole.count(b"OggS")
    return {
        "1000-times": lambda _, position: position * 1000,
        "all-at-once": lambda _, __: 0,
        "unknown": lambda _, __: -1,
        "backward": lambda share, position: max(1, position - round(share * pages) * _RATE),
        "half-later": _from_the_middle(_20_MINUTES_S * _RATE),
        "huge": lambda share, position: position if share < 0.3 else 1 << 62,
    }


def _from_the_middle(ticks: int) -> Change:
    return lambda share, time: time + (ticks if share > 0.5 else 0)
