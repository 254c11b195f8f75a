"""How much of a recording is clipped: cut off at the ends of the scale, because it was recorded too loud.

Bringing clipped sound to 16 kHz and lossy coding both bend its flat tops, so that not all of a top is at the
end of the scale any more: of WAV about 60 % is still seen, of MP3 and AAC 6 to 25 %. Speech up to full
scale that is not clipped has none, through a codec neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.media.energy import FRAME_SAMPLES, frame_levels

TOO_MUCH = 0.0015
"""Share of the samples of speech that is worth telling.

Read speech 6 dB over full scale has 0.12 %, and is heard as well as before; 12 dB over it has 2 % as WAV and
0.2 % as AAC, and of 100 words 10 more are wrong.
"""

_END = 32767
# A full-scale tone touches the ends, too; but a voice rises and falls by more than this within a second.
_STEADY_RANGE_DB = 6.0
# Speech that is clipped anywhere is far louder; what is softer are its pauses.
_SOUND_DB = -40.0


class ClippingMeter:
    """Counts what is clipped, channel by channel, and how much sound there is to hold it against."""

    def __init__(self) -> None:
        self._clipped: Counter[int] = Counter()
        self._worst: Counter[int] = Counter()
        self._sound: Counter[int | None] = Counter()

    def add(self, block: NDArray[np.int16]) -> None:
        """Take the next second of 16 kHz samples as decoded, shape (samples, channels)."""
        if block.max() < _END and block.min() > -_END:
            return
        for channel in range(block.shape[1]):
            clipped = count_clipped(block[:, channel])
            if clipped and not _is_steady(block[:, channel]):
                self._clipped[channel] += clipped
                self._worst[channel] = max(self._worst[channel], clipped)

    def add_levels(self, levels: Sequence[float], channel: int | None) -> None:
        """Take further levels (dBFS, one per 10 ms) of a channel, or of all mixed (None)."""
        loud = int(np.count_nonzero(np.asarray(levels, np.float32) > _SOUND_DB))
        self._sound[channel] += loud * FRAME_SAMPLES

    def share(self) -> float:
        """Return the share of the samples of speech that is clipped, of the channel where it is most.

        The worst second does not count: a slammed door is no reason to record anew.
        """
        return max((self._share(channel) for channel in self._clipped), default=0.0)

    def _share(self, channel: int) -> float:
        sound = self._sound[channel] or self._sound[None]
        clipped = self._clipped[channel] - self._worst[channel]
        return min(1.0, clipped / sound) if sound else 0.0


def count_clipped(samples: NDArray[np.int16]) -> int:
    """Count the samples at the ends of the scale."""
    return int(np.count_nonzero((samples >= _END) | (samples <= -_END)))


def _is_steady(samples: NDArray[np.int16]) -> bool:
    levels = frame_levels(samples)
    return not levels.size or float(np.ptp(levels)) < _STEADY_RANGE_DB
