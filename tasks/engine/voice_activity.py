"""Which parts of a sound hold a voice: loud enough, and voiced.

Energy alone takes steady noise for speech, and pocketsphinx then hears words in it; WebRTC's voice
detector (in pocketsphinx's wheel) finds 1 % of voiced frames in white noise and 52 % or more in speech.
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketsphinx import Vad

from tasks.engine.recogniser import Samples
from tasks.media.energy import frame_levels
from tasks.speech.regions import find_regions
from tasks.speech.timecode import SAMPLE_RATE, ms_to_samples
from tasks.speech.words import Region

_LEAST_VOICED = 0.1
_FRAME_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Loudness:
    """The levels of a sound (dBFS, one per 10 ms), and where in it someone speaks."""

    levels: list[float]
    speech: list[Region]


def listen(samples: Samples) -> Loudness:
    """Find the stretches in which someone speaks; silence and steady noise have none."""
    levels = frame_levels(samples).tolist()
    speech = [region for region in find_regions(levels) if _is_voiced(_cut(samples, region))]
    return Loudness(levels, speech)


def _cut(samples: Samples, region: Region) -> Samples:
    return samples[ms_to_samples(region.start_ms) : ms_to_samples(region.end_ms)]


def _is_voiced(samples: Samples) -> bool:
    detector = Vad(Vad.MEDIUM_STRICT, SAMPLE_RATE, _FRAME_SECONDS)
    frame = detector.frame_bytes
    sound = samples.tobytes()
    starts = range(0, len(sound) - frame + 1, frame)
    voiced = sum(detector.is_speech(sound[start : start + frame]) for start in starts)
    return bool(voiced > _LEAST_VOICED * len(starts))
