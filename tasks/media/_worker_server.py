"""Fork a worker for each recording that PyAV is to read. Run as a program by ``worker.py``.

Loading PyAV takes ten times as long as reading a short recording by it: it is loaded once, here, and each
file is read in a fork, which a file that hangs, crashes or eats memory takes with it alone. Of ours, it
imports the workers only.

A request on the channel is its length in 4 bytes, its JSON ``[worker, arguments, limits, handle]``, and four
descriptors: a control socket, standard output, standard error and the open recording, which the worker finds
under the number ``handle``. On the control socket the server says the worker's process id, and later its
exit code, as `subprocess` would; its peer's end of it kills the worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from stenoflow.tasks.media import _gap_worker, _probe_worker

_WORKERS: dict[str, Callable[..., None]] = {"probe": _probe_worker.main, "gaps": _gap_worker.main}
# Bytes of a number, and descriptors of a request.
_NUMBER = 4
_FDS = 4
# Behind the standard ones.
_FIRST_FD = 3


def main(channel_fd: str) -> None:
    """Serve requests until the other end of the channel is closed; then kill what is left."""
    # The workers are not to touch the pages that they share with us.
    gc.freeze()
    WorkerServer(socket.socket(fileno=int(channel_fd))).serve()


class WorkerServer:
    """Forks workers, says how they end, and kills those that nobody waits for any more."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._controls: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ, self._fork)
        self._woken, self._wake = socket.socketpair()
        for each in (self._woken, self._wake):
            each.setblocking(False)  # noqa: FBT003 - the method's only argument
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._is_over = False

    def serve(self) -> None:
        """Serve until nobody can ask any more."""
        while not self._is_over:
            for key, _ in self._selector.select():
                key.data()
        for pid in self._controls:
            _kill(pid)

    def _fork(self) -> None:
        """Take a request and say the worker's process id; 0 if the system allows no more."""
        header, fds, *_ = socket.recv_fds(self._channel, _NUMBER, _FDS)
        if not header:
            self._is_over = True
            return
        # All of it, or nothing if whoever asks has ended in the middle.
        data = self._channel.recv(int.from_bytes(header), socket.MSG_WAITALL)
        control = socket.socket(fileno=fds[0])
        try:
            pid = os.fork()
        except OSError:
            pid = 0
        else:
            if pid == 0:
                _work(data, *fds[1:])
        for fd in fds[1:]:
            os.close(fd)
        _say(control, pid)
        if pid:
            self._controls[pid] = control
            self._selector.register(control, selectors.EVENT_READ, partial(self._abandon, pid))
        else:
            control.close()

    def _abandon(self, pid: int) -> None:
        """Kill a worker whose control socket was closed."""
        control = self._controls.get(pid)
        if control is not None:  # its end was not said at the same moment
            self._selector.unregister(control)
            _kill(pid)

    def _reap(self) -> None:
        """Say of each worker that has ended with which code."""
        self._woken.recv(1 << 10)
        for pid, code in _ended():
            control = self._controls.pop(pid)
            with contextlib.suppress(KeyError):  # it was abandoned
                self._selector.unregister(control)
            _say(control, code)
            control.close()


def _work(request: bytes, out: int, err: int, file: int) -> NoReturn:
    """Become a worker; ends the process."""
    code = 1
    try:
        worker, args, limits, handle = json.loads(request)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for name, value in limits.items():
            kind = getattr(resource, name)
            _, most = resource.getrlimit(kind)
            fits = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(kind, (fits, fits))
        # Out of the way of the numbers that they are to have.
        out, err, file = (fcntl.fcntl(fd, fcntl.F_DUPFD, handle + 1) for fd in (out, err, file))
        for fd, number in ((out, 1), (err, 2), (file, handle)):
            os.dup2(fd, number)
        os.closerange(_FIRST_FD, handle)
        os.closerange(handle + 1, os.sysconf("SC_OPEN_MAX"))
        _WORKERS[worker](*args)
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must not go on as a second server
        traceback.print_exc()
    finally:
        os._exit(code)


def _ended() -> list[tuple[int, int]]:
    """Return the process ids and exit codes of workers that have ended."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.append((pid, os.waitstatus_to_exitcode(status)))


def _kill(pid: int) -> None:
    """Kill a worker that has not been waited for, so that its id cannot have been given to another."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet
        os.kill(pid, signal.SIGKILL)


def _say(control: socket.socket, number: int) -> None:
    try:
        control.send(number.to_bytes(_NUMBER, signed=True))
    except OSError:  # nobody listens any more
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
