"""Making a segment louder in which people speak so softly that its MP3 would lose what they say.

Ordinary levels change nothing: read speech whose loud frames are at -54 dBFS is heard by pocketsphinx as well
as at -14. What is softer falls below what a 64 kbps MP3 keeps: at -59 dBFS 25 % of the words were wrong, and
19 % when it was made louder before; at -64 dBFS 99 % and 25 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_QUIET_DB = -55.0
# As speech commonly is.
_TARGET_DB = -16.0
_TOP_PERCENTILE = 95
_MOST = 32767


def gain_db(levels: Sequence[float], sound: Iterable[NDArray[np.int16]]) -> int:
    """Return by how many dB to amplify a segment: 0, unless its speech is far too soft.

    Args:
        levels: dBFS, one per 10 ms, where somebody speaks in it.
        sound: all of it that is sent; it is looked at only where the speech is too soft.

    Returns:
        Whole dB, no more than its loudest sample allows.
    """
    top = float(np.percentile(levels, _TOP_PERCENTILE)) if len(levels) else 0.0
    if top >= _QUIET_DB:
        return 0
    peak = max((max(int(part.max()), -int(part.min())) for part in sound if part.size), default=0)
    room = 20 * np.log10(_MOST / peak) if peak else 0.0
    return int(min(_TARGET_DB - top, room))


def amplified(parts: Iterable[NDArray[np.int16]], by_db: int) -> Iterator[NDArray[np.int16]]:
    """Yield samples made louder by whole dB that `gain_db` allows; as they are for 0."""
    factor = 10 ** (by_db / 20)
    for part in parts:
        yield np.rint(part * factor).astype(np.int16) if by_db else part
