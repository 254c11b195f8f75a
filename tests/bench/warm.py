"""The worker's process, from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.api import Api
from tests.bench.product import empty_home, surroundings
from tests.bench.sources import CACHE

_LOG = CACHE / "worker.log"


@dataclass(frozen=True, slots=True)
class Job:
    """A whole job; times in s, ``first_s`` until the first segment was handed over."""

    began: float
    wall_s: float
    cpu_s: float
    first_s: float
    segments: int


@dataclass(frozen=True, slots=True)
class Split:
    """A recording cut, and nothing else."""

    wall_s: float
    cpu_s: float
    first_s: float
    segments: int


@dataclass(frozen=True, slots=True)
class Worker:
    """A process in which the program's steps can be run one by one."""

    process: subprocess.Popen[str]
    began: float

    def start(self) -> float:
        """Start Prefect; returns how long that and the interpreter's own start took."""
        self._ask("start")
        return time.monotonic() - self.began

    def split(self, path: Path) -> Split:
        """Cut a recording."""
        return Split(**self._ask("split", path))

    def job(self, path: Path) -> Job:
        """Do a whole job."""
        return Job(**self._ask("job", path))

    def profile(self, path: Path) -> str:
        """Do a whole job with the profiler on; returns its table."""
        return str(self._ask("profile", path)["table"])

    def _ask(self, *command: str | Path) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(part) for part in command]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failed": f"the worker ended; see {_LOG}"}
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer


@contextmanager
def running_worker(api: Api | None = None) -> Iterator[Worker]:
    """Run a worker for as long as the block lasts."""
    began = time.monotonic()
    with (
        empty_home() as home,
        _LOG.open("w", encoding="utf-8") as said,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.worker"],
            env=surroundings(home, api),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        # Leaving closes its standard input, at which it ends.
        yield Worker(process, began)
