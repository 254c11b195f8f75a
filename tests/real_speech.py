"""Real speech, which is not in this repository; tests that use it skip where its folder is missing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.speech_audio import decode_speech
from tests.instrument.tones import RATE, Samples

FOLDER = Path(os.environ.get("STENOFLOW_TEST_SPEECH", Path(__file__).parents[2] / "shared" / "speech"))

needs_speech = pytest.mark.skipif(not FOLDER.is_dir(), reason="real speech: set STENOFLOW_TEST_SPEECH")


@cache
def clip(name: str) -> Samples:
    """Return a clip at 16 kHz."""
    path = FOLDER / name
    return decode_speech(path.read_bytes(), path.suffix[1:], ffmpeg=find_ffmpeg(), rate=RATE)


def read_speech(pause_s: float = 0.4) -> Samples:
    """Return a reading of a hundred seconds, one clip after the other."""
    pause = np.zeros(round(pause_s * RATE), np.int16)
    clips = [clip(f"LJ001-{number:04d}.wav") for number in range(1, 17)]
    return np.concatenate([part for each in clips for part in (each, pause)])


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and when it is said, in seconds."""

    text: str
    start: float
    end: float


def spoken_words(name: str) -> list[SpokenWord]:
    """Return the words of a clip with their true times, from its TextGrid in the short form or its JSON."""
    grid = FOLDER / f"{name}.TextGrid"
    return list(_of_grid(grid) if grid.exists() else _of_json(FOLDER / f"{name}.wordalign.json"))


def _of_grid(path: Path) -> Iterator[SpokenWord]:
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    first = lines.index('"words"') + 4
    count = int(lines[first - 1])
    for at in range(first, first + 3 * count, 3):
        start, end, text = lines[at : at + 3]
        if text != '""':
            yield SpokenWord(text.strip('"'), float(start), float(end))


def _of_json(path: Path) -> Iterator[SpokenWord]:
    for line in path.read_text("utf-8").splitlines():
        for word in json.loads(line)["w"]:
            if not word["t"].startswith(("<", "[")):
                yield SpokenWord(re.sub(r"\(\d+\)$", "", word["t"]), word["b"], word["b"] + word["d"])
