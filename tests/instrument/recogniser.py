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
    # Frame by frame, the resampler takes as long as the decoder.
    fifo = av.AudioFifo()
    with av.open(BytesIO(sound), mode="r") as file:
        for frame in file.decode(audio=0):
            # Those of a cut file have gaps, which it refuses.
            frame.pts = None
            fifo.write(frame)
    resampler = av.AudioResampler("s16", "mono", RATE)
    whole = [*resampler.resample(fifo.read()), *resampler.resample(None)]
    return np.concatenate([block.to_ndarray()[0] for block in whole])


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
