"""The memory of a process and of each process that it starts, looked at twenty times a second."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OURS = "our process"
_EVERY_S = 0.05
_MB = 1_000_000
_TICKS = os.sysconf("SC_CLK_TCK")
# By a part of the command line; the first that fits.
_NAMES = {
    "_worker_server": "probe",
    "pipe:1": "ffmpeg decoding",
    "pipe:0": "ffmpeg encoding",
    "ffmpeg": "ffmpeg on trial",
    "prefect": "Prefect's server",
    "/bin/sh": "shell",
}


class Watcher:
    """Watches a process until it ends, from a thread of its own.

    Attributes:
        peaks_mb: the most resident memory by name; of several processes of a name, that of the largest.
    """

    def __init__(self) -> None:
        self.peaks_mb: dict[str, float] = defaultdict(float)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, pid: int) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, pid: int) -> None:
        while not self._ended.wait(_EVERY_S):
            # It may end between any two looks.
            with suppress(OSError, ValueError):
                self._look(pid)

    def _look(self, pid: int) -> None:
        own = _command_line(pid)
        self._note(OURS, pid)
        for child in descendants(pid):
            with suppress(OSError, ValueError):
                command_line = _command_line(child)
                # One that has not begun its own program yet still shows ours, and shares its memory.
                if command_line and command_line != own:
                    self._note(_name(command_line), child)

    def _note(self, name: str, pid: int) -> None:
        self.peaks_mb[name] = max(self.peaks_mb[name], resident_mb(pid))


def name_of(pid: int) -> str:
    """Return what a process is called here, by its command line."""
    return _name(_command_line(pid))


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that they did."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in map(int, (thread / "children").read_text().split()):
                yield child
                yield from descendants(child)


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def resident_mb(pid: int) -> float:
    """Return how much memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


def _name(command_line: str) -> str:
    return next((name for part, name in _NAMES.items() if part in command_line), "others")


def cpu_s(pid: int) -> tuple[float, float]:
    """Return what a process has spent of the processor, and what the children did that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, ended = (sum(map(int, fields[first : first + 2])) / _TICKS for first in (11, 13))
    return own, ended
