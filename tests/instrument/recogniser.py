"""The decoder as a recogniser: hears an uploaded segment and answers as the API does."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any

import av
import numpy as np

from tests.instrument.hearing import hear
from tests.instrument.tones import RATE, WORD_SAMPLES, Samples

CUT = "cut"
"""How a word is written that was heard in part only."""

# Sixty threads that decode at once hand the interpreter's lock round at each frame: seven times the work.
_one_at_a_time = threading.Lock()


def decode(sound: bytes) -> Samples:
    """Decode an upload to 16 kHz mono, in this process: a program's start costs as much again."""
    with av.open(BytesIO(sound), mode="r") as file:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [*file.decode(audio=0), None]
        blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return np.concatenate(blocks)


def recognise(sound: bytes) -> dict[str, Any]:
    """Answer an upload in the shape of verbose_json."""
    with _one_at_a_time:
        samples = decode(sound)
        heard = list(hear(samples))
    words = [
        {
            "word": CUT if number is None else str(number),
            "start": start / RATE,
            "end": min(samples.size, start + WORD_SAMPLES) / RATE,
        }
        for start, number in heard
    ]
    return {
        "task": "transcribe",
        "language": "english",
        "duration": samples.size / RATE,
        "text": " ".join(str(word["word"]) for word in words),
        "words": words,
        "segments": [],
    }
