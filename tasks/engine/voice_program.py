"""The program of a voice, in a process of its own: text comes in on stdin, samples go out as they are made.

Run by its path, it imports nothing of ours: the library of espeak-ng is under the GPL, and a voice may hang.
What it is run with is in `synthesis.SynthesisScript`: ``voice_program.py flite PROGRAM VOICE STRETCH FOLDER
HANDLE`` or ``voice_program.py espeak LIBRARY DATA VOICE WORDS_A_MINUTE FOLDER HANDLE``.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

_FLITE_RATE = 16_000
_LONGEST_SENTENCE_S = 60

# From espeak-ng/speak_lib.h.
_SYNCHRONOUS = 2
_RATE_PARAMETER = 1
_VOLUME_PARAMETER = 2
_CHARACTERS = 1
_UTF8 = 1
_CHUNK_MS = 60
# At 100 some voices are clipped.
_VOLUME = 80
_ESPEAK_RATE = 22_050

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def speak_by_flite(text: bytes, out: BinaryIO, options: Sequence[str]) -> None:
    """Speak sentence by sentence, so that the first comes while the rest is being made."""
    program, voice, stretch, folder = options
    # -f, since a text behind -t can be read in the list of processes.
    args = [program, "-voice", voice, "--setf", f"duration_stretch={stretch}", "-f", "/dev/stdin"]
    target = Path(folder, "sentence.wav")
    for sentence in _sentences(text.decode()):
        subprocess.run(
            [*args, "-o", str(target)],
            input=sentence.encode(),
            stdout=subprocess.DEVNULL,
            timeout=_LONGEST_SENTENCE_S,
            check=True,
        )
        with wave.open(str(target)) as file:
            if (file.getframerate(), file.getnchannels()) != (_FLITE_RATE, 1):
                raise RuntimeError(f"flite's voice {voice} is not at {_FLITE_RATE} Hz, mono")
            out.write(file.readframes(file.getnframes()))
        out.flush()


def _sentences(text: str) -> Iterator[str]:
    """Cut a text at the ends of its sentences and paragraphs."""
    from sentencex import segment  # noqa: PLC0415 - espeak-ng does without

    for paragraph in text.splitlines():
        for sentence in segment("en", paragraph):
            if any(char.isalnum() for char in sentence):
                yield sentence.strip()


def speak_by_espeak(text: bytes, out: BinaryIO, options: Sequence[str]) -> None:
    """Speak a text as a whole; the library hands over the samples as it makes them."""
    library, data, voice, words_a_minute, _ = options

    def take(samples: int | None, count: int, _: int | None) -> int:
        if samples and count:
            out.write(ctypes.string_at(samples, 2 * count))
            out.flush()
        return 0

    espeak = _open_espeak(library, data, voice, int(words_a_minute))
    callback = _CALLBACK(take)
    espeak.espeak_SetSynthCallback(callback)
    # The library's text ends at a zero byte.
    text = text.replace(b"\0", b" ")
    size = ctypes.c_size_t(len(text) + 1)
    status = espeak.espeak_Synth(text, size, 0, _CHARACTERS, 0, _UTF8, None, None)
    espeak.espeak_Synchronize()
    if status:
        sys.exit(f"espeak-ng could not speak: {status}")


def _open_espeak(library: str, data: str, voice: str, words_a_minute: int) -> Any:
    """Load the library and set its voice and rate."""
    espeak = ctypes.CDLL(library)
    rate = espeak.espeak_Initialize(_SYNCHRONOUS, _CHUNK_MS, os.fsencode(data), 0)
    if rate != _ESPEAK_RATE:
        sys.exit(f"espeak-ng could not be started: {rate}")
    if espeak.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"espeak-ng has no voice {voice}")
    if hasattr(espeak, "espeak_ng_SetRandSeed"):  # from 1.52; the same text is then the same sound
        espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
    espeak.espeak_SetParameter(_RATE_PARAMETER, words_a_minute, 0)
    espeak.espeak_SetParameter(_VOLUME_PARAMETER, _VOLUME, 0)
    return espeak


def main(voice: str, *args: str) -> None:
    """Speak the text on standard input into the descriptor that the last argument names."""
    *options, handle = args
    (length,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    text = sys.stdin.buffer.read(length)
    speak = {"flite": speak_by_flite, "espeak": speak_by_espeak}[voice]
    with open(int(handle), "wb") as out:  # noqa: PTH123 - a descriptor has no path
        speak(text, out, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
