"""One decoder process, seen from the engine."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tasks.engine.errors import EngineError

_PROGRAM = Path(__file__).with_name("decoder_program.py")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as pocketsphinx heard it; frames of 10 ms from the sound's start, both inclusive."""

    text: str
    start_frame: int
    end_frame: int
    probability: float


class DecoderEndedError(Exception):
    """The process ended before it answered."""


class Decoder:
    """A running decoder process; it loads its model while it waits for the first request.

    On Linux it dies with the thread that made it.

    Raises:
        EngineError: the process could not be started.
    """

    def __init__(self) -> None:
        try:
            # -P keeps the program's folder, where our own modules lie, off its path. A session of its
            # own keeps Ctrl-C from it: it ends when the engine does.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"a decoder process could not be started: {error}") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def decode(self, sound: bytes) -> list[SpokenWord]:
        """Decode a chunk of sound: 16 kHz mono, 16 bits.

        Raises:
            DecoderEndedError: it crashed or was killed.
        """
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise RuntimeError("the decoder was started without pipes")
        try:
            requests.write(struct.pack("<I", len(sound)) + sound)
            requests.flush()
            line = answers.readline()
        except OSError as error:
            raise DecoderEndedError from error
        if not line.endswith(b"\n"):
            raise DecoderEndedError
        return [SpokenWord(*word) for word in json.loads(line)]

    def kill(self) -> None:
        """Make it end at once; a thread that waits for its answer gets `DecoderEndedError`."""
        self._process.kill()

    def close(self) -> None:
        """End it and free what it held; not while another thread waits for its answer."""
        self._process.kill()
        # Closing flushes what a dead process no longer takes.
        with contextlib.suppress(BrokenPipeError):
            self._process.__exit__(None, None, None)
