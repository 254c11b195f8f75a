"""Speaks by the library of espeak-ng, in a process of its own: the library is under the GPL, and may hang.

Run by its path: ``espeak_program.py LIBRARY DATA VOICE WORDS_A_MINUTE FOLDER HANDLE``, text on standard
input; see `speaker.Script`. Imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Any

# From espeak-ng/speak_lib.h.
_SYNCHRONOUS = 2
_RATE_PARAMETER = 1
_VOLUME_PARAMETER = 2
_CHARACTERS = 1
_UTF8 = 1
_CHUNK_MS = 60
# At 100 some voices are clipped.
_VOLUME = 80
_SAMPLE_RATE = 22_050

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def opened(library: str, data: str, voice: str, words_a_minute: int) -> Any:
    """Load the library and set its voice and rate."""
    espeak = ctypes.CDLL(library)
    rate = espeak.espeak_Initialize(_SYNCHRONOUS, _CHUNK_MS, os.fsencode(data), 0)
    if rate != _SAMPLE_RATE:
        sys.exit(f"espeak-ng could not be started: {rate}")
    if espeak.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"espeak-ng has no voice {voice}")
    if hasattr(espeak, "espeak_ng_SetRandSeed"):  # from 1.52; the same text is then the same sound
        espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
    espeak.espeak_SetParameter(_RATE_PARAMETER, words_a_minute, 0)
    espeak.espeak_SetParameter(_VOLUME_PARAMETER, _VOLUME, 0)
    return espeak


def speak(espeak: Any, text: bytes, handle: int) -> None:
    """Write the samples of a text as they are made."""
    with open(handle, "wb") as out:

        def take(samples: int | None, count: int, _: int | None) -> int:
            if samples and count:
                out.write(ctypes.string_at(samples, 2 * count))
                out.flush()
            return 0

        callback = _CALLBACK(take)
        espeak.espeak_SetSynthCallback(callback)
        size = ctypes.c_size_t(len(text) + 1)
        status = espeak.espeak_Synth(text, size, 0, _CHARACTERS, 0, _UTF8, None, None)
        espeak.espeak_Synchronize()
        if status:
            sys.exit(f"espeak-ng could not speak: {status}")


def main(library: str, data: str, voice: str, words_a_minute: str, _: str, handle: str) -> None:
    """Speak what comes on standard input."""
    (length,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    # It would end there.
    text = sys.stdin.buffer.read(length).replace(b"\0", b" ")
    speak(opened(library, data, voice, int(words_a_minute)), text, int(handle))


if __name__ == "__main__":
    main(*sys.argv[1:])
