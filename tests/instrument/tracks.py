"""Recordings of several channels: in each, one speaker of numbers, whom the others' microphones hear too."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.instrument.recording import sound
from tests.instrument.script import SpokenNumber, script
from tests.instrument.tones import RATE, Samples

_TURN_S = 12


def conversation(seconds: float, speakers: int = 2) -> list[list[SpokenNumber]]:
    """Let speakers take turns of some 12 s."""
    words = script(seconds)
    said: list[list[SpokenNumber]] = [[] for _ in range(speakers)]
    for word in words:
        turn = int(word.start_sample / RATE / _TURN_S)
        said[turn % speakers].append(word)
    return said


def channels_of(said: Sequence[Sequence[SpokenNumber]], seconds: float, bleed_db: float | None) -> Samples:
    """Return the sound, shape (samples, channels); each is in the others so much softer, 10 ms later."""
    alone = np.stack([np.concatenate(list(sound(words, seconds))) for words in said], axis=1)
    if bleed_db is None:
        return alone
    heard = np.roll(alone, RATE // 100, axis=0).astype(np.float64) * 10 ** (bleed_db / 20)
    mixed: NDArray[np.float64] = alone + heard.sum(axis=1, keepdims=True) - heard
    return np.clip(mixed, -32768, 32767).astype(np.int16)


def write_channels(path: Path, samples: Samples, *options: str) -> Path:
    """Encode samples of shape (samples, channels)."""
    given = ("-f", "s16le", "-ar", str(RATE), "-ac", str(samples.shape[1]), "-i", "pipe:0")
    args = [find_ffmpeg().path, "-v", "error", "-y", *given, *options, f"file:{path}"]
    subprocess.run(args, input=np.ascontiguousarray(samples).tobytes(), check=True)
    return path
