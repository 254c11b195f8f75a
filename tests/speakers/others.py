"""Recordings of several voices that are as they are: the demo, and calls whose channels are mixed to one."""

from __future__ import annotations

import wave

import numpy as np

from stenoflow.tasks.engine import sample
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.levels import LevelMeter
from stenoflow.tasks.media.speech_audio import decode_speech
from stenoflow.tasks.transcript.regions import find_regions
from stenoflow.tasks.transcript.speakers import Turn
from stenoflow.tasks.transcript.types import Region
from tests.instrument.tones import RATE, Samples
from tests.real_speech import FOLDER
from tests.voices import Talk

# The shortest pause before a line of the demo is longer; in a line there is none as long.
_PAUSE_MS = 330


def demo() -> Talk:
    """Return the sample meeting; its pauses are known, and so is who says which line."""
    path = sample.sound()
    sound = decode_speech(path.read_bytes(), "opus", ffmpeg=find_ffmpeg(), rate=RATE)
    lines: list[Region] = []
    for each in find_regions(LevelMeter().add(sound).tolist()):
        if lines and each.start_ms - lines[-1].end_ms < _PAUSE_MS:
            lines[-1] = Region(lines[-1].start_ms, each.end_ms)
        else:
            lines.append(each)
    said = sample.script_lines()
    if len(lines) != len(said):
        raise RuntimeError(f"the sample meeting has {len(said)} lines, and {len(lines)} are heard")
    turns = tuple(
        Turn(each.start_ms, each.end_ms, line.speaker) for each, line in zip(lines, said, strict=True)
    )
    return Talk(sound, turns, turns)


def call(name: str) -> Talk:
    """Return a recording of two channels mixed to one; who speaks when, each channel says."""
    channels = _channels(name)
    turns = tuple(
        Turn(each.start_ms, each.end_ms, f"channel {number}")
        for number, channel in enumerate(channels.T)
        for each in find_regions(LevelMeter().add(np.ascontiguousarray(channel)).tolist())
    )
    mixed = np.clip(channels.astype(np.int32).sum(axis=1), -32768, 32767).astype(np.int16)
    return Talk(mixed, turns, turns)


def _channels(name: str) -> Samples:
    with wave.open(str(FOLDER / name)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (2, 2, RATE):
            raise RuntimeError(f"{name} is not two channels of 16-bit sound at {RATE} Hz")
        found: Samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return found
