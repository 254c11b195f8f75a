"""Listening to a recording for its voices: where somebody speaks, and an embedding of every second or so."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.voice import VoiceStream
from stenoflow.tasks.acoustics.voice_clustering import HeardVoices
from stenoflow.tasks.acoustics.voice_encoder import VoiceEncoder
from stenoflow.tasks.transcript.timecode import ms_to_samples
from stenoflow.tasks.transcript.types import Region
from stenoflow.tasks.transcript.voice_turns import windows_over

Samples = NDArray[np.int16]

# The encoder was trained with 1.6 s.
_WINDOW_MS, _HOP_MS = 1_600, 800
# Pauses inside what one person says may be shorter; another rarely begins without one.
_JOIN_MS = 200
# Longer ones are listened to in pieces, so that no more sound is held.
_LONGEST_MS = 30_000
# From less, a voice can be found among those that are known, but is none of its own.
_CLEAR_MS = 1_000
# Nothing can be told of a voice from less.
_SHORTEST_MS = 300


@dataclass(slots=True)
class VoiceListener:
    """Takes a recording block by block, and holds no more of its sound than the region that is open."""

    encoder: VoiceEncoder
    heard: HeardVoices = field(default_factory=HeardVoices)
    _stream: VoiceStream = field(default_factory=lambda: VoiceStream(_JOIN_MS, _LONGEST_MS))
    _sound: Samples = field(default_factory=lambda: np.empty(0, np.int16))
    _start: int = 0

    def add(self, block: Samples) -> None:
        """Take the next samples, 16 kHz mono."""
        self._sound = np.concatenate([self._sound, block])
        for region in self._stream.add(block):
            self._listen(region)
        open_from = self._stream.open_from
        end = self._start + self._sound.size
        # The detector may find that what it has in hand belongs to the next region.
        keep_from = max(self._start, min(end - ms_to_samples(1_000), end if open_from is None else open_from))
        self._sound = self._sound[keep_from - self._start :]
        self._start = keep_from

    def finish(self) -> HeardVoices:
        """Return what was heard, once all samples were given."""
        for region in self._stream.finish():
            self._listen(region)
        return self.heard

    def _listen(self, region: Region) -> None:
        if region.duration_ms < _SHORTEST_MS:
            return
        windows = windows_over(region, _WINDOW_MS, _HOP_MS)
        sounds = [self._cut(window.heard) for window in windows]
        for window, embedding in zip(windows, self.encoder.embed(sounds), strict=True):
            self.heard.add(window.part, embedding, clear=window.heard.duration_ms >= _CLEAR_MS)

    def _cut(self, region: Region) -> Samples:
        first = ms_to_samples(region.start_ms) - self._start
        return self._sound[first : first + ms_to_samples(region.duration_ms)]
