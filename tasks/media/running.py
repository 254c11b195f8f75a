"""Run outside programs within limits of time and memory, so that a hostile file costs only its own job."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Protocol, cast

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import MediaError


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one process; its threads share them, and none writes a core file.

    Attributes:
        cpu_s: of processor time.
        file_bytes: the largest file that it may write.
        memory_bytes: of address space. A day of AAC has an index of about 300 MB.
    """

    cpu_s: int
    file_bytes: int = 0
    memory_bytes: int = 2 << 30

    @property
    def limits(self) -> dict[str, int]:
        """The limits by their names in `resource`."""
        return {
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_CORE": 0,
        }

    def impose(self, pid: int) -> None:
        """Set them for a process that has just been started; where the system cannot, nothing is set."""
        if not hasattr(resource, "prlimit"):  # only Linux sets another process's
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            for name, value in self.limits.items():
                kind = getattr(resource, name)
                _, most = resource.prlimit(pid, kind)
                fits = value if most == resource.RLIM_INFINITY else min(value, most)
                resource.prlimit(pid, kind, (fits, fits))


def schedule_for_throughput(pid: int) -> None:
    """Let a process that computes for long run in long turns.

    ffmpeg 7 and later hand every packet and frame from thread to thread, and each hand-over wakes the other
    one up at once: with SCHED_BATCH it is not woken in the middle of a turn, which saves a third of the CPU
    (measured on an hour of MP3).
    """
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


# Large pipes mean few switches between the programs.
_PIPE_BYTES = 1 << 20
_TAIL_LINES = 20
_LINE_BYTES = 500
# ffmpeg says where each of its parts lies in memory, which tells nobody anything.
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
# SIGKILL is prompt unless the program hangs in the kernel (a dead network drive); then we go on without it.
_REAP_S = 10.0


class OverdueError(MediaError):
    """A program did not answer within its deadline."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended.

    Attributes:
        code: its exit status; negative for the signal that ended it.
        said: the last lines on its standard error.
        lines: how many lines it wrote there.
    """

    code: int
    said: tuple[str, ...]
    lines: int


class Process(Protocol):
    """What `Running` needs of a process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...  # noqa: D102

    @property
    def stdin(self) -> IO[bytes] | None: ...  # noqa: D102

    @property
    def stdout(self) -> IO[bytes] | None: ...  # noqa: D102

    @property
    def stderr(self) -> IO[bytes] | None: ...  # noqa: D102

    def poll(self) -> int | None: ...  # noqa: D102

    def wait(self, timeout: float | None = None) -> int: ...  # noqa: D102

    def kill_group(self) -> None:
        """Kill it and whatever it started; safe from any thread."""


class _Program(subprocess.Popen[bytes]):
    def kill_group(self) -> None:
        # Not yet waited for, its id cannot have been given to another.
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


class Running:
    """A program at work. One thread reads, it or one other writes; any may `stop`."""

    def __init__(self, process: Process, what: str, stall_s: float, ends_at: float) -> None:
        self._process = process
        self._what = what
        self._stall_s = stall_s
        self._ends_at = ends_at
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._lines = 0
        self._drain = threading.Thread(target=self._drain_stderr, name=f"stderr {process.pid}", daemon=True)
        self._drain.start()
        for pipe in filter(None, (process.stdin, process.stdout)):
            os.set_blocking(pipe.fileno(), False)
            _widen(pipe)

    @property
    def pid(self) -> int:
        """The program's process id, and its group's."""
        return self._process.pid

    @property
    def lines(self) -> int:
        """How many lines it has written to standard error so far."""
        return self._lines

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes of standard output, fewer only at its end.

        Raises:
            OverdueError: nothing came within the deadline; the program is killed.
        """
        source = _piped(self._process.stdout)
        parts = []
        while size:
            self._wait(source, selectors.EVENT_READ)
            part = os.read(source, size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def read_some(self, most: int) -> bytes:
        """Read what there is of standard output, waiting for the first of it; nothing at its end.

        Raises:
            OverdueError: nothing came within the deadline; the program is killed.
        """
        source = _piped(self._process.stdout)
        self._wait(source, selectors.EVENT_READ)
        return os.read(source, most)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data`` to standard input.

        Raises:
            OverdueError: it was not taken within the deadline; the program is killed.
            MediaError: the program has closed its input.
        """
        target = _piped(self._process.stdin)
        view = memoryview(data).cast("B")
        while view:
            self._wait(target, selectors.EVENT_WRITE)
            try:
                view = view[os.write(target, view) :]
            except BrokenPipeError as error:
                raise self.error("stopped early", self.finish()) from error

    def end_input(self) -> None:
        """Close standard input: nothing more is written."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def finish(self) -> Finished:
        """Close standard input and wait for the end.

        Raises:
            OverdueError: it did not end within the deadline; it is killed.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(self._patience())
        except subprocess.TimeoutExpired:
            raise self._overdue() from None
        self._drain.join(_REAP_S)
        return Finished(code, tuple(self._tail), self._lines)

    def stop(self) -> None:
        """Kill the program and whatever it started. Safe from any thread, and more than once."""
        self._process.kill_group()

    def close(self) -> None:
        """Kill it if it still runs, and leave neither a zombie nor an open pipe."""
        self.stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        self._drain.join(_REAP_S)
        for pipe in filter(None, (self._process.stdin, self._process.stdout, self._process.stderr)):
            with contextlib.suppress(OSError):
                pipe.close()

    def error(self, happened: str, finished: Finished) -> MediaError:
        """Make the error that says what happened to what, with the program's own last words."""
        status = f"signal {-finished.code}" if finished.code < 0 else f"exit status {finished.code}"
        said = " / ".join(finished.said[-3:])
        return MediaError(f"{self._what}: the program {happened} ({status}){': ' if said else ''}{said}")

    def _patience(self) -> float:
        return max(0.0, min(self._stall_s, self._ends_at - time.monotonic()))

    def _wait(self, pipe: int, event: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            if not selector.select(self._patience()):
                raise self._overdue()

    def _overdue(self) -> OverdueError:
        self.stop()
        return OverdueError(f"{self._what}: the program took too long and was stopped")

    def _drain_stderr(self) -> None:
        stderr = io.BufferedReader(cast("io.FileIO", self._process.stderr))
        # A line without an end comes in pieces, so that it cannot fill the memory either.
        for line in iter(lambda: stderr.readline(_LINE_BYTES), b""):
            self._lines += 1
            if text := _ADDRESS.sub("", line.decode(errors="replace")).strip():
                self._tail.append(text)


@contextlib.contextmanager
def running(
    args: Sequence[str],
    *,
    what: str,
    writes: bool = False,
    reads: bool = False,
    handles: Sequence[int] = (),
    bounds: Bounds,
    stall_s: float = 60.0,
    deadline_s: float = float("inf"),
) -> Iterator[Running]:
    """Run a program for as long as the block lasts; leaving it, however, ends the program.

    Args:
        args: the program and its arguments.
        what: what it works on, for errors.
        writes: we write to its standard input (else it is empty).
        reads: we read its standard output (else it is dropped).
        handles: open descriptors that it inherits, under their numbers.
        bounds: what it may use.
        stall_s: the longest that one read or write, or the end, may take.
        deadline_s: the longest that the whole may take.

    Raises:
        MediaError: the program could not be started.
    """
    try:
        process = _Program(
            args,
            stdin=subprocess.PIPE if writes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if reads else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=handles,
        )
    except OSError as error:
        raise MediaError(f"{what}: {args[0]} could not be started: {plain_reason(error)}") from error
    # Before it has read a byte of a file: it is still being loaded.
    bounds.impose(process.pid)
    schedule_for_throughput(process.pid)
    run = Running(process, what, stall_s, time.monotonic() + deadline_s)
    try:
        yield run
    finally:
        run.close()


def _piped(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise ValueError("the program was started without this pipe")
    return pipe.fileno()


def _widen(pipe: IO[bytes]) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux; a user's share of large pipes may be used up
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
