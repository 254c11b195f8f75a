"""pocketsphinx decoders in processes of their own, and a pool of them."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

from stenoflow.tasks.errors import EngineError

_PROGRAM = Path(__file__).with_name("decoder_program.py")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as pocketsphinx recognised it; frames of 10 ms from the sound's start, both inclusive."""

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


@dataclass(frozen=True, slots=True)
class _Job:
    sound: bytes
    words: Future[list[SpokenWord]] = field(default_factory=Future)


class DecoderPool:
    """Decodes chunks of sound in up to ``size`` processes, started as they are needed.

    Threads may share it. The processes end with ours at the latest; `close` ends them earlier.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = Lock()
        self._closed = False
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._decoders: dict[int, Decoder] = {}

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        with self._lock:
            return list(self._decoders)

    def start(self) -> None:
        """Start all processes, so that their models load while there is nothing to decode yet."""
        with self._lock:
            while len(self._threads) < self._size and not self._closed:
                self._add_thread()

    def submit(self, sound: bytes) -> Future[list[SpokenWord]]:
        """Queue a chunk (16 kHz mono, 16 bits). Cancelling the future takes it back while it waits.

        Raises:
            EngineError: the pool is closed. In the future: the process cannot be started, or ended
                twice over this chunk.
        """
        job = _Job(sound)
        with self._lock:
            self._check_open()
            if len(self._threads) < self._size:
                self._add_thread()
            self._jobs.put(job)
        return job.words

    def close(self) -> None:
        """End all processes at once; what is queued or being decoded ends in `EngineError`."""
        with self._lock:
            self._closed = True
            for decoder in self._decoders.values():
                decoder.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the embedded engine has been closed")

    def _add_thread(self) -> None:
        # A daemon, so that a program that forgets to close us does not wait for a queue to be decoded.
        thread = Thread(target=self._drive, name="stenoflow-decoder", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _drive(self) -> None:
        """Own one decoder process: what every thread does until it takes None from the queue."""
        decoder = self._try_to_start()
        while (job := self._jobs.get()) is not None:
            if job.words.set_running_or_notify_cancel():
                decoder = self._fulfil(job, decoder)
        if decoder is not None:
            self._retire(decoder)

    def _try_to_start(self) -> Decoder | None:
        try:
            return self._start_decoder()
        except EngineError:
            return None  # the first job finds out why

    def _fulfil(self, job: _Job, decoder: Decoder | None) -> Decoder | None:
        """Decode a job, in a fresh process if the one at hand ends; return the process to go on with."""
        for _ in range(2):
            try:
                decoder = decoder or self._start_decoder()
                job.words.set_result(decoder.decode(job.sound))
            except DecoderEndedError:
                self._retire(decoder)
                decoder = None
            except EngineError as error:
                job.words.set_exception(error)
                return None
            else:
                return decoder
        job.words.set_exception(EngineError("a decoder process ended twice over the same stretch of sound"))
        return None

    def _start_decoder(self) -> Decoder:
        with self._lock:
            self._check_open()
            decoder = Decoder()
            self._decoders[decoder.pid] = decoder
        return decoder

    def _retire(self, decoder: Decoder | None) -> None:
        if decoder is not None:
            with self._lock:
                del self._decoders[decoder.pid]
            decoder.close()
