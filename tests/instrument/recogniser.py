"""The decoder as a recogniser: hears an uploaded segment and answers as the API does."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.instrument.hearing import hear
from tests.instrument.tones import RATE, WORD_SAMPLES, Samples

CUT = "cut"
"""How a word is written that was heard in part only."""


def decode(sound: bytes) -> Samples:
    """Decode an upload to 16 kHz mono."""
    args = [
        find_ffmpeg().path,
        "-v",
        "error",
        "-i",
        "pipe:0",
        "-f",
        "s16le",
        "-ar",
        str(RATE),
        "-ac",
        "1",
        "pipe:1",
    ]
    return np.frombuffer(subprocess.run(args, input=sound, capture_output=True, check=True).stdout, np.int16)


def recognise(sound: bytes) -> dict[str, Any]:
    """Answer an upload in the shape of verbose_json."""
    samples = decode(sound)
    words = [
        {
            "word": CUT if number is None else str(number),
            "start": start / RATE,
            "end": min(samples.size, start + WORD_SAMPLES) / RATE,
        }
        for start, number in hear(samples)
    ]
    return {
        "task": "transcribe",
        "language": "english",
        "duration": samples.size / RATE,
        "text": " ".join(str(word["word"]) for word in words),
        "words": words,
        "segments": [],
    }
