"""An API that keeps calls in flight, and the command in a process of its own, to break things meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.instrument.recogniser import recognise

IN_FLIGHT = 2
"""How many calls `ARGUMENTS` of `tests.flows.processes` allow at once."""


class Held:
    """A recogniser that answers the first calls, and holds back the others until it is told to go on.

    Args:
        after: how many it answers first.
    """

    def __init__(self, after: int) -> None:
        self.waiting = 0
        self._left = after
        self._lock = threading.Lock()
        self._free = threading.Event()

    def __call__(self, sound: bytes, _fields: object) -> dict[str, Any]:
        with self._lock:
            self._left -= 1
            waits = self._left < 0
            self.waiting += waits
        if waits:
            self._free.wait()
            with self._lock:
                self.waiting -= 1
        return recognise(sound)

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        self._free.set()


@contextmanager
def command(folder: Path, *arguments: str | Path, first: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process of its own, and a line of Python before it."""
    program = f"from stenoflow.flows.cli import main\n{first}\nmain()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # That of the commands that ran in this process before: this one has a server of its own.
    environment.pop("PREFECT_API_URL", None)
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
