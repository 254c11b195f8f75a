"""Speaks by flite, sentence by sentence, so that the first is heard while the rest is made.

Run by its path: ``flite_program.py FLITE VOICE STRETCH FOLDER HANDLE``, text on standard input; see
`speaker.Script`. Imports nothing of ours.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

from sentencex import segment

_SAMPLE_RATE = 16_000
_LONGEST_SENTENCE_S = 60


def sentences(text: str) -> Iterator[str]:
    """Cut a text at the ends of its sentences and paragraphs."""
    for paragraph in text.splitlines():
        for sentence in segment("en", paragraph):
            if any(char.isalnum() for char in sentence):
                yield sentence.strip()


def speak(flite: str, voice: str, stretch: str, sentence: str, target: Path) -> bytes:
    """Return the samples of one sentence."""
    # -f, since a text behind -t can be read in the list of processes.
    args = [flite, "-voice", voice, "--setf", f"duration_stretch={stretch}", "-f", "/dev/stdin"]
    subprocess.run(
        [*args, "-o", str(target)],
        input=sentence.encode(),
        stdout=subprocess.DEVNULL,
        timeout=_LONGEST_SENTENCE_S,
        check=True,
    )
    with wave.open(str(target)) as file:
        if (file.getframerate(), file.getnchannels()) != (_SAMPLE_RATE, 1):
            raise RuntimeError(f"flite's voice {voice} is not at {_SAMPLE_RATE} Hz, mono")
        samples: bytes = file.readframes(file.getnframes())
    return samples


def main(flite: str, voice: str, stretch: str, folder: str, handle: str) -> None:
    """Speak what comes on standard input."""
    (length,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    text = sys.stdin.buffer.read(length).decode()
    with open(int(handle), "wb") as out:  # noqa: PTH123 - a descriptor has no path
        for sentence in sentences(text):
            out.write(speak(flite, voice, stretch, sentence, Path(folder, "sentence.wav")))
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
