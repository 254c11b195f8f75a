"""Recordings of tone speech, generated as a stream and never held whole."""

from __future__ import annotations

import bisect
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.instrument.beds import Bed, bed_sound
from tests.instrument.script import SpokenNumber, script
from tests.instrument.tones import RATE, WORD_SAMPLES, Samples, word_sound

__all__ = ["Bed", "SpokenNumber", "script", "sound", "write"]

_BLOCK_SAMPLES = 10 * RATE


def sound(words: Sequence[SpokenNumber], seconds: float, bed: Bed = Bed.ROOM) -> Iterator[Samples]:
    """Yield the recording in blocks of 10 s."""
    end = round(seconds * RATE)
    for first in range(0, end, _BLOCK_SAMPLES):
        yield _block(words, first, min(_BLOCK_SAMPLES, end - first), bed)


def _block(words: Sequence[SpokenNumber], first: int, size: int, bed: Bed) -> Samples:
    block = bed_sound(bed, first, size)
    index = bisect.bisect_right(words, first - WORD_SAMPLES, key=lambda word: word.start_sample)
    while index < len(words) and words[index].start_sample < first + size:
        at = words[index].start_sample - first
        said = word_sound(words[index].number)[max(0, -at) : size - at]
        block[max(0, at) : max(0, at) + said.size] += said
        index += 1
    return block


def write(
    path: Path, words: Sequence[SpokenNumber], seconds: float, *options: str, bed: Bed = Bed.ROOM
) -> Path:
    """Encode a recording with ffmpeg, in the format of the file's ending; ``options`` go to the encoder."""
    given = ("-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0")
    args = [find_ffmpeg().path, "-v", "error", "-y", *given, *options, f"file:{path}"]
    with subprocess.Popen(args, stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        for block in sound(words, seconds, bed):
            ffmpeg.stdin.write(block.data)
    assert ffmpeg.returncode == 0
    return path
