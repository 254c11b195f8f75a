"""Align text to sound: `align` finds when each word is said, by the aligner that knows the language."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.voice import find_voice
from stenoflow.tasks.transcript.alignment import AlignmentPiece, with_times
from stenoflow.tasks.transcript.holes import total_ms
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.spoken_english import spoken_english
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Region
from stenoflow.tasks.transcript.word_timing import AlignedWords

_log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).with_name("pocketsphinx_program.py")
_ENGLISH = "en"
# Where nobody says which language it is, most of its words must be in the dictionary.
_KNOWN = 0.7
# It takes 0.03 to 0.1 CPU seconds a second; a machine that is slow and busy takes a hundred times as long.
_PATIENCE = 10
# So much of a sound is listened to for a voice, and must have it.
_SAMPLE_MS, _LEAST_VOICE_MS = 10_000, 1_000
# Beside the processes that decode, encode and serve.
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))


def align(
    sound: NDArray[np.int16],
    pieces: Sequence[AlignmentPiece],
    language: str | None,
) -> AlignedWords | None:
    """Find when the words of a text are said, in a process of its own.

    Args:
        sound: 16 kHz mono.
        pieces: the text, with where its parts are.
        language: ISO 639-1; None: unknown.

    Returns:
        All words in order; None where the text or the sound is not for an aligner that is there, or where it
        found too little.
    """
    if language not in {None, _ENGLISH} or not pieces or not _has_voice(sound, pieces[0].region):
        return None
    request = [
        [piece.region.start_ms // FRAME_MS, piece.region.end_ms // FRAME_MS, _spoken(piece.words)]
        for piece in pieces
    ]
    try:
        answer = _ask(request, sound)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        # Times are estimated as before: that is no reason to fail.
        _log.warning("words could not be aligned: %s", error)
        return None
    if all(found is None for found in answer["pieces"]) or (language is None and answer["known"] < _KNOWN):
        return None
    found = chain.from_iterable(
        _regions(placed, len(piece.words)) for piece, placed in zip(pieces, answer["pieces"], strict=True)
    )
    words = [word for piece in pieces for word in piece.words]
    timed = with_times(words, list(found), Region(0, samples_to_ms(sound.size)))
    return AlignedWords(f"pocketsphinx {version('pocketsphinx')}", tuple(timed))


def _has_voice(sound: NDArray[np.int16], region: Region) -> bool:
    """Tell whether there is a voice at all: an aligner finds words in any sound."""
    middle = (region.start_ms + region.end_ms) // 2
    start_ms = max(region.start_ms, middle - _SAMPLE_MS // 2)
    voice = find_voice(sound, Region(start_ms, min(region.end_ms, start_ms + _SAMPLE_MS)))
    return total_ms(voice) >= min(_LEAST_VOICE_MS, region.duration_ms // 4)


def _spoken(words: Sequence[str]) -> list[list[str]]:
    return [spoken_english(word) for word in words]


def _ask(request: object, sound: NDArray[np.int16]) -> dict[str, Any]:
    with _AT_ONCE:
        # -P keeps the program's folder, where our own modules lie, off its path.
        ended = subprocess.run(
            [sys.executable, "-P", str(_PROGRAM)],
            input=json.dumps(request).encode() + b"\n" + sound.tobytes(),
            capture_output=True,
            check=True,
            timeout=60 + _PATIENCE * samples_to_ms(sound.size) / 1000,
            start_new_session=True,
        )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def _regions(placed: Sequence[tuple[int, int, float] | None] | None, count: int) -> list[Region | None]:
    if placed is None:
        return [None] * count
    return [None if each is None else Region(each[0] * FRAME_MS, each[1] * FRAME_MS) for each in placed]
