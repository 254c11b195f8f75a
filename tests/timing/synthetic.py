"""Speech of espeak-ng, which says itself where each word begins: any language, numbers and signs included.

Run as a program, it speaks: the library is under the GPL, and no process of ours loads it.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stenoflow.tasks.engine.espeak import find_espeak
from stenoflow.tasks.transcript.text import split_words
from tests.instrument.tones import RATE, Samples

_SYNCHRONOUS, _PLAIN_UTF8, _WORD, _END_OF_LIST = 2, 1, 1, 0


needs_espeak = pytest.mark.skipif(find_espeak() is None, reason="no espeak-ng: the extra `speech`")


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Words as written, where in ms each begins, and the sound at 16 kHz."""

    words: tuple[str, ...]
    starts_ms: tuple[int, ...]
    sound: Samples


def speak(text: str, language: str) -> Synthetic:
    """Speak a text; words that are said in one with the word before begin with it."""
    package = find_espeak()
    assert package is not None
    program = [sys.executable, "-m", __name__, str(package), language]
    ended = subprocess.run(
        program, input=text.encode(), capture_output=True, check=True, cwd=Path(__file__).parents[2]
    )
    head, _, samples = ended.stdout.partition(b"\n")
    said = json.loads(head)
    slow = np.frombuffer(samples, np.int16)
    at = np.arange(0, slow.size, said["rate"] / RATE)
    sound = np.interp(at, np.arange(slow.size), slow).astype(np.int16)
    words, starts = [], []
    place = 0
    for word in split_words(text):
        place = text.index(word, place)
        begun = [ms for position, ms in said["words"] if position <= place + len(word)]
        own = [ms for position, ms in said["words"] if place < position <= place + len(word)]
        words.append(word)
        starts.append(own[0] if own else begun[-1])
        place += len(word)
    return Synthetic(tuple(words), tuple(starts), sound)


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


def _main() -> None:
    package, language = Path(sys.argv[1]), sys.argv[2]
    library = ctypes.CDLL(str(next(package.glob("libespeak-ng.*"))))
    rate = library.espeak_Initialize(_SYNCHRONOUS, 200, str(package / "espeak-ng-data").encode(), 0)
    library.espeak_SetVoiceByName(language.encode())
    words: list[tuple[int, int]] = []
    samples: list[bytes] = []

    def take(wave: int | None, count: int, events: int) -> int:
        if wave and count:
            samples.append(ctypes.string_at(wave, 2 * count))
        step = ctypes.sizeof(_Event)
        while (event := _Event.from_address(events)).type != _END_OF_LIST:
            if event.type == _WORD:
                words.append((event.text_position, event.audio_position))
            events += step
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(take)
    library.espeak_SetSynthCallback(callback)
    text = sys.stdin.buffer.read()
    library.espeak_Synth(text, len(text) + 1, 0, 0, 0, _PLAIN_UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(json.dumps({"rate": rate, "words": words}).encode() + b"\n" + b"".join(samples))


if __name__ == "__main__":
    _main()
