"""Workers that read a recording by PyAV, each in a process that is forked from a server of ours."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.ffmpeg_arguments import FORMATS, PROTOCOLS
from stenoflow.tasks.media.running import Bounds, Running, schedule_for_throughput
from stenoflow.tasks.media.safe_open import Opened
from stenoflow.tasks.media.truncation import demuxer_options

_SERVER = "stenoflow.tasks.media._worker_server"
PATIENCE = 10
"""So many seconds on the clock may pass for each of processor time: others have the rest of the cores."""
_NUMBER = 4
# What the worker's exit code is where its server died with it: a failure of ours, not of the file.
_LOST = 255


@contextlib.contextmanager
def reading(worker: str, file: Opened, arguments: Sequence[str] = (), *, cpu_s: float) -> Iterator[Running]:
    """Have a worker read a recording for as long as the block lasts; leaving it, however, ends the worker.

    Args:
        worker: ``probe`` or ``gaps``.
        file: the recording.
        arguments: what else the worker is told.
        cpu_s: the longest that it may take of processor time; on the clock, `PATIENCE` times that.

    Raises:
        MediaError: it could not be started.
    """
    whitelists = {"protocol_whitelist": PROTOCOLS, "format_whitelist": FORMATS}
    args = [file.url, json.dumps(whitelists | demuxer_options(file)), *arguments]
    bounds = Bounds(cpu_s=max(1, round(cpu_s)))
    try:
        process = _fork([worker, args, bounds.limits, file.handle], file.handle)
    except OSError as error:
        raise MediaError(
            f"{file.name}: the program that examines it could not be started: {error}"
        ) from error
    run = Running(process, file.name, PATIENCE * cpu_s, time.monotonic() + PATIENCE * cpu_s)
    try:
        yield run
    finally:
        run.close()


class Worker:
    """A forked worker, with as much of `subprocess.Popen` as `Running` needs."""

    stdin = None

    def __init__(self, control: socket.socket, stdout: io.FileIO, stderr: io.FileIO) -> None:
        self.stdout, self.stderr = stdout, stderr
        self._control = control
        self._lock = threading.Lock()
        self._code: int | None = None
        self.pid = _number(control) or 0
        if not self.pid:
            raise ChildProcessError("no process can be started")

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        with self._lock:
            if self._code is None:
                if not select.select([self._control], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(_SERVER, timeout or 0)
                code = _number(self._control)
                self._code = _LOST if code is None else code
                self._control.close()
            return self._code

    def kill_group(self) -> None:
        """Have it killed, with whatever it started."""
        # Without the lock, which a thread that waits for the end holds.
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)


def _number(control: socket.socket) -> int | None:
    try:
        data = control.recv(_NUMBER)
    except ConnectionError:
        return None
    return int.from_bytes(data, signed=True) if data else None


class _RunningServer:
    """The server of this process: started with the first worker, gone with us."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -P: a folder that we happen to stand in must not be where it imports from.
                [sys.executable, "-P", "-m", _SERVER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for us, who end the workers.
                start_new_session=True,
            )
        schedule_for_throughput(self._process.pid)

    def fork(self, request: object, handle: int) -> Worker:
        """Fork a worker. Raises OSError."""
        control, theirs = socket.socketpair()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            data = json.dumps(request).encode()
            fds = [theirs.fileno(), out_end, err_end, handle]
            socket.send_fds(self._channel, [len(data).to_bytes(_NUMBER)], fds)
            self._channel.sendall(data)
        except OSError:
            control.close()
            os.close(out)
            os.close(err)
            raise
        finally:
            theirs.close()
            os.close(out_end)
            os.close(err_end)
        return Worker(control, io.FileIO(out, "rb"), io.FileIO(err, "rb"))

    def end(self) -> None:
        """End it, unless it is that of the process that we were forked from."""
        self._channel.close()
        if self.owner == os.getpid():
            self._process.wait()


_lock = threading.Lock()
_server: _RunningServer | None = None


def _fork(request: object, handle: int) -> Worker:
    """Fork a worker; a server that is gone is replaced once. Raises OSError."""
    global _server  # noqa: PLW0603 - one a process, as its imports are
    with _lock:
        if _server is not None and _server.owner == os.getpid():
            with contextlib.suppress(OSError):
                return _server.fork(request, handle)
            _server.end()
        _server = _RunningServer()
        return _server.fork(request, handle)


def end_server() -> None:
    """End the server of this process, with its workers; the next worker starts another."""
    global _server  # noqa: PLW0603 - see above
    with _lock:
        if _server is not None:
            _server.end()
            _server = None
