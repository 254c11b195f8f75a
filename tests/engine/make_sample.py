"""Speak the script of the sample meeting: ``python -m tests.engine.make_sample``.

It needs the program flite (Debian's package ``flite``), and writes ``meeting.opus`` beside the script.
The same script gives the same sound: the pauses and the room's noise come from a seeded generator.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.engine import sample

SAMPLE_RATE = 16_000
VOICES = {"ANNA": "slt", "ROBERT": "rms", "ALAN": "awb"}
SPEECH_RMS = 0.07
ROOM_RMS = 0.0004  # -68 dBFS: a quiet room, so that the pauses are not digital silence

Sound = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pause:
    """The shortest and longest silence before a line, in seconds."""

    shortest: float
    longest: float


SAME_SPEAKER = Pause(0.4, 0.65)
NEXT_SPEAKER = Pause(0.65, 0.9)
NEXT_TOPIC = Pause(1.2, 1.9)


def speak(text: str, voice: str, folder: Path) -> Sound:
    """Return ``text`` spoken by one of flite's voices, 16 kHz mono, without silence at its ends."""
    target = folder / "line.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(target)], check=True)  # noqa: S607 - on the PATH
    with wave.open(str(target)) as file:
        if file.getframerate() != SAMPLE_RATE:
            raise RuntimeError(f"flite's voice {voice} speaks at {file.getframerate()} Hz, not {SAMPLE_RATE}")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32768
    return level(trim(samples))


def trim(sound: Sound) -> Sound:
    """Cut the silence off both ends, keeping 20 ms of it."""
    loud = np.flatnonzero(np.abs(sound) > 0.003)
    margin = SAMPLE_RATE // 50
    return sound[max(0, loud[0] - margin) : loud[-1] + margin]


def level(sound: Sound) -> Sound:
    """Bring a line to the loudness that all speakers share."""
    return sound * float(SPEECH_RMS / np.sqrt(np.mean(sound**2)))


def pause_before(previous: str | None, speaker: str, *, new_topic: bool) -> Pause:
    """Say how long a silence may be before the line of ``speaker``."""
    if new_topic:
        return NEXT_TOPIC
    return SAME_SPEAKER if previous == speaker else NEXT_SPEAKER


def meeting(lines: Sequence[sample.ScriptLine], random: np.random.Generator, folder: Path) -> Iterator[Sound]:
    """Yield the lines of the meeting and the pauses between them, in order."""
    previous = None
    for line in lines:
        pause = pause_before(previous, line.speaker, new_topic=line.new_topic)
        yield np.zeros(round(random.uniform(pause.shortest, pause.longest) * SAMPLE_RATE))
        yield speak(line.text, VOICES[line.speaker], folder)
        previous = line.speaker
    yield np.zeros(SAMPLE_RATE)


def encode(sound: Sound, target: Path) -> None:
    """Write ``sound`` as Ogg Opus at 32 kbit/s, the same bytes each time."""
    pcm = np.clip(sound * 32767, -32768, 32767).astype("<i2").tobytes()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-v", "error", "-y"]
    command += ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", "pipe:0"]
    command += ["-c:a", "libopus", "-b:a", "32k", "-application", "voip"]
    command += ["-fflags", "+bitexact", "-flags:a", "+bitexact", f"file:{target}"]
    subprocess.run(command, input=pcm, check=True)


def main() -> None:
    """Speak the script and write the recording beside it."""
    target = sample.sound()
    random = np.random.default_rng(2026)
    with tempfile.TemporaryDirectory() as folder:
        spoken = np.concatenate(list(meeting(sample.script_lines(), random, Path(folder))))
    room = random.normal(0.0, ROOM_RMS, spoken.size)
    encode(spoken + room, target)
    sys.stdout.write(f"{target.name}: {spoken.size / SAMPLE_RATE:.1f} s\n")


if __name__ == "__main__":
    main()
