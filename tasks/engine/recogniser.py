"""The protocol of a recogniser, and the chunks of sound that it takes: speech, cut in pauses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Vad

from stenoflow.tasks.media.levels import frame_levels
from stenoflow.tasks.transcript.planning import CutPlanner, CutRule
from stenoflow.tasks.transcript.regions import FRAME_MS, find_regions
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, ms_to_samples
from stenoflow.tasks.transcript.types import Region, Utterance

Samples = NDArray[np.int16]
"""Sound: 16 kHz mono, 16 bits."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Hints about the sound; a recogniser may ignore what it cannot use.

    Attributes:
        language: ISO 639-1 code, or None to detect it.
        prompt: words that come before, or names that may be said.
        temperature: 0 to 1; None leaves it to the recogniser.
        translate: into English, where it can.
    """

    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    translate: bool = False


@dataclass(frozen=True, slots=True)
class Recognition:
    """The utterances of a sound, as they are recognised.

    Attributes:
        language: ISO 639-1 code of what is spoken.
        utterances: in order; times in ms from the first sample. Closing it cancels the
            rest.
    """

    language: str
    utterances: AsyncGenerator[Utterance, None]


class Recogniser(Protocol):
    """Turns sound into timed words."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes of the languages that it recognises."""

    @property
    def translates(self) -> bool:
        """Whether it translates into English."""

    async def recognise(self, samples: Samples, hints: Hints) -> Recognition:
        """Begin to recognise speech.

        Raises:
            EngineError: it cannot; also while iterating over the utterances.
        """

    async def warm_up(self) -> None:
        """Begin to load what the first request would have to wait for."""

    def close(self) -> None:
        """End its processes and free its memory; a recognition under way ends in `EngineError`."""


_LONGEST_MS = 30_000
# A longer silence is not worth decoding, and a recogniser may find words in it.
_LONGEST_GAP_MS = 3_000
# The planner leaves up to a second more than its longest for the end.
_LONG_REGION_RULE = CutRule(target_ms=22_000, window_ms=7_000)


def chunks(levels: Sequence[float], speech: Iterable[Region]) -> list[Region]:
    """Gather regions of speech into chunks of 30 s at most, cut in pauses.

    Args:
        levels: dBFS, one per 10 ms.
        speech: regions in order, apart.

    Returns:
        Chunks in order; every region lies in chunks whole, long silences in none.
    """
    return join_regions(_split_long(levels, speech))


def join_regions(regions: Iterable[Region]) -> list[Region]:
    """Gather regions of 30 s at most into as few chunks of 30 s at most, without long silences."""
    gathered: list[Region] = []
    for region in regions:
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
    """Cut regions without a long pause at their best places."""
    for region in speech:
        inside = levels[region.start_ms // FRAME_MS : region.end_ms // FRAME_MS]
        start_ms = region.start_ms
        if region.duration_ms > _LONGEST_MS:
            for cut in CutPlanner(_LONG_REGION_RULE).feed(inside):
                yield Region(start_ms, region.start_ms + cut.at_ms)
                start_ms = region.start_ms + cut.at_ms
        yield Region(start_ms, region.end_ms)


_LEAST_VOICED = 0.1
_FRAME_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class SoundLevels:
    """The levels of a sound (dBFS, one per 10 ms), and its regions of speech."""

    levels: list[float]
    speech: list[Region]


def find_speech(samples: Samples) -> SoundLevels:
    """Find the regions of speech; silence and steady noise have none."""
    levels = frame_levels(samples).tolist()
    speech = [region for region in find_regions(levels) if _is_voiced(_cut(samples, region))]
    return SoundLevels(levels, speech)


def _cut(samples: Samples, region: Region) -> Samples:
    return samples[ms_to_samples(region.start_ms) : ms_to_samples(region.end_ms)]


def _is_voiced(samples: Samples) -> bool:
    detector = Vad(Vad.MEDIUM_STRICT, SAMPLE_RATE, _FRAME_SECONDS)
    frame = detector.frame_bytes
    sound = samples.tobytes()
    starts = range(0, len(sound) - frame + 1, frame)
    voiced = sum(detector.is_speech(sound[start : start + frame]) for start in starts)
    return bool(voiced > _LEAST_VOICED * len(starts))
