"""Diarization: who speaks when, told by the voices, in a process of its own at idle priority."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.voice_models import FoundModel
from stenoflow.tasks.errors import FailedError, StoppedError
from stenoflow.tasks.transcript.speakers import Turn
from stenoflow.tasks.transcript.voice_turns import ScoredTurn

_PROGRAM = "stenoflow.tasks.acoustics.diarizer_program"
# Whatever else the machine has to do is more urgent.
NICENESS = 19
# One recording at a time, however many are transcribed: it takes a core.
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
_LAST_WORDS = 500
_LOOK_EVERY_S = 0.5


class DiarizationError(FailedError):
    """The voices in a recording could not be told apart."""

    kind = "voices"
    # The same computation would come to the same; `resume` tries it once more.
    lies_in_recording = True


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who speaks when; times in ms from the first sample.

    Attributes:
        turns: in order, with their scores.
        voices: an embedding of each turn, in the same order.
    """

    turns: tuple[ScoredTurn, ...]
    voices: NDArray[np.float32]


@dataclass(slots=True)
class Diarizer:
    """Tells the voices of one recording apart; `stop` may be called from any thread.

    Attributes:
        model: by which.
        at_least: so many speakers there are at least.
        at_most: no more; None: as many as are heard.
    """

    model: FoundModel
    at_least: int = 1
    at_most: int | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End soon; `diarize` raises StoppedError."""
        self._stopped.set()

    def diarize(self, sound: Iterable[NDArray[np.int16]]) -> Diarization:
        """Say who speaks when.

        Args:
            sound: blocks of 16 kHz mono, in order.

        Raises:
            DiarizationError: the process failed; what it said last is in the message.
            StoppedError: `stop` was called.
        """
        while not _AT_ONCE.acquire(timeout=_LOOK_EVERY_S):
            self._check()
        try:
            with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as said:
                code = self._run(sound, answer.fileno(), said.fileno())
                answer.seek(0)
                said.seek(0)
                if code:
                    last = said.read().decode(errors="replace").strip()[-_LAST_WORDS:]
                    raise DiarizationError(f"voices could not be told apart: {last or f'status {code}'}")
                return _read(json.load(answer))
        except (OSError, ValueError) as error:
            raise DiarizationError(f"voices could not be told apart: {error}") from error
        finally:
            _AT_ONCE.release()

    def _run(self, sound: Iterable[NDArray[np.int16]], answer: int, said: int) -> int:
        # -P: a folder that we happen to stand in must not be where it imports from.
        with subprocess.Popen(
            [sys.executable, "-P", "-m", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=said,
            # Ctrl-C is for us, who end it.
            start_new_session=True,
            # One thread: the other cores are for what is waited for.
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        ) as process:
            try:
                self._feed(process, sound)
                while process.poll() is None:
                    self._check()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_LOOK_EVERY_S)
            finally:
                if process.poll() is None:
                    process.kill()
            return process.returncode

    def _feed(self, process: subprocess.Popen[bytes], sound: Iterable[NDArray[np.int16]]) -> None:
        pipe = process.stdin
        if pipe is None:
            raise RuntimeError("the process has no standard input")
        # Waiting for room in the pipe would outlast `stop`.
        watch = threading.Thread(target=self._end_when_stopped, args=(process,), daemon=True)
        watch.start()
        request = {
            "model": self.model.model.name,
            "files": {name: str(path) for name, path in self.model.paths.items()},
            "at_least": self.at_least,
            "at_most": self.at_most,
            "niceness": NICENESS,
        }
        try:
            # One that has failed reads no more; its exit code and last words say why.
            with contextlib.suppress(BrokenPipeError):
                pipe.write(json.dumps(request).encode() + b"\n")
                for block in sound:
                    self._check()
                    pipe.write(block.astype("<i2", copy=False).tobytes())
        finally:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._check()

    def _end_when_stopped(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if self._stopped.wait(_LOOK_EVERY_S):
                process.kill()
                return

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError("interrupted before its voices were told apart")


def _read(answer: dict[str, Any]) -> Diarization:
    turns = tuple(
        ScoredTurn(Turn(start_ms, end_ms, speaker), score)
        for start_ms, end_ms, speaker, score in answer["turns"]
    )
    voices = np.frombuffer(base64.b64decode(answer["voices"]), "<f4").reshape(len(turns), -1 if turns else 0)
    return Diarization(turns, voices.astype(np.float32))
