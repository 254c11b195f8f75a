"""The program of a decoder process: sound comes in on stdin, words go out on stdout.

pocketsphinx holds the interpreter's lock for a whole decode, so it cannot run beside an event loop.
This file is run by its path and imports nothing of ours: it starts quickly, whatever program the
engine lives in.

A request is its length in bytes (4, little-endian) and as much 16 kHz mono 16-bit sound; the answer is
one line of JSON: ``[[word, first frame, last frame, probability], ...]``, 100 frames a second.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import struct
import sys
from typing import Any, BinaryIO

from pocketsphinx import Decoder

_PR_SET_PDEATHSIG = 1
# "read(2)" is the second way to say "read"; <s>, <sil>, [NOISE] and ++UH++ are no words.
_VARIANT = re.compile(r"\(\d+\)$")
_NO_WORD = ("<", "[", "+")


def decode(decoder: Any, sound: bytes) -> list[tuple[str, int, int, float]]:
    """Return the words of one chunk: text, first and last frame, probability up to 1."""
    # Nothing of the chunk before may be left, least of all its channel's noise and mean: the same sound
    # gives the same text, and jfk.wav 0.23 word error rate after another speaker as alone (else 0.59).
    decoder.reinit_feat()
    decoder.start_utt()
    # As a whole, so that the mean is the chunk's own from its first frame on (0.23; piece by piece 1.09).
    decoder.process_raw(sound, no_search=False, full_utt=True)
    decoder.end_utt()
    return [
        (_VARIANT.sub("", segment.word), segment.start_frame, segment.end_frame, min(1.0, segment.prob))
        for segment in decoder.seg() or ()
        if not segment.word.startswith(_NO_WORD)
    ]


def answer_requests(decoder: Any, requests: BinaryIO, answers: BinaryIO) -> None:
    """Decode until the engine closes its end."""
    while header := requests.read(4):
        (length,) = struct.unpack("<I", header)
        words = decode(decoder, requests.read(length))
        answers.write(json.dumps(words).encode() + b"\n")
        answers.flush()


def end_with_parent() -> None:
    """Ask Linux to kill this process with the thread that started it, even in the middle of a decode.

    Elsewhere the process ends after the chunk at hand, when it finds stdin closed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    answer_requests(Decoder(loglevel="FATAL"), sys.stdin.buffer, sys.stdout.buffer)
