"""Recordings of tone speech with pauses like speech, generated as a stream and never held whole."""

from __future__ import annotations

import bisect
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.media.programs import find_ffmpeg
from tests.instrument.tones import RATE, WORD_SAMPLES, Samples, word_sound


@dataclass(frozen=True, slots=True)
class SpokenNumber:
    """A word of the truth: what is said, and at which sample."""

    number: int
    start_sample: int

    @property
    def text(self) -> str:
        """The word as the recogniser writes it."""
        return str(self.number)

    @property
    def start_ms(self) -> float:
        """When it begins."""
        return self.start_sample / RATE * 1000


def script(seconds: float, seed: int = 1) -> list[SpokenNumber]:
    """Say 0, 1, 2, … with gaps between words, pauses between sentences, and longer rests now and then."""
    random_ = random.Random(seed)
    spoken: list[SpokenNumber] = []
    position = RATE // 2
    while position + WORD_SAMPLES + RATE // 2 < seconds * RATE:
        for _ in range(random_.randint(4, 12)):
            spoken.append(SpokenNumber(len(spoken), position))
            position += WORD_SAMPLES + random_.randint(RATE // 16, RATE // 8)
        rest = random_.choice([0.35, 0.5, 0.7, 0.9, 2.0 if random_.random() < 0.1 else 0.6])
        position += int(rest * RATE)
    return [word for word in spoken if word.start_sample + WORD_SAMPLES < seconds * RATE]


def sound(words: Sequence[SpokenNumber], seconds: float, noise: float = 0.0005) -> Iterator[Samples]:
    """Yield the recording in blocks of 1 s, with a little noise as rooms have."""
    random_ = np.random.default_rng(1)
    upcoming = iter([*words, None])
    word = next(upcoming)
    carried = np.zeros(0, np.int16)
    for second in range(int(np.ceil(seconds))):
        size = min(RATE, round(seconds * RATE) - second * RATE)
        block = (random_.standard_normal(size + WORD_SAMPLES) * noise * 32767).astype(np.int16)
        block[: carried.size] += carried
        while word is not None and word.start_sample < second * RATE + size:
            at = word.start_sample - second * RATE
            block[at : at + WORD_SAMPLES] += word_sound(word.number)
            word = next(upcoming)
        carried = _said_beyond(words, second * RATE + size)
        yield block[:size]


def _said_beyond(words: Sequence[SpokenNumber], position: int) -> Samples:
    """Return what is left, behind a position, of the word that runs across it."""
    index = bisect.bisect_left(words, position, key=lambda word: word.start_sample) - 1
    if index < 0 or words[index].start_sample + WORD_SAMPLES <= position:
        return np.zeros(0, np.int16)
    return word_sound(words[index].number)[position - words[index].start_sample :]


def write(path: Path, words: Sequence[SpokenNumber], seconds: float, *options: str) -> Path:
    """Encode a recording with ffmpeg, in the format of the file's ending; ``options`` go to the encoder."""
    args = [
        find_ffmpeg().path,
        "-v",
        "error",
        "-y",
        "-f",
        "s16le",
        "-ar",
        str(RATE),
        "-ac",
        "1",
        "-i",
        "pipe:0",
    ]
    with subprocess.Popen([*args, *options, f"file:{path}"], stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        for block in sound(words, seconds):
            ffmpeg.stdin.write(block.tobytes())
    assert ffmpeg.returncode == 0
    return path
