"""The API's process, from the outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import httpx


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it; ``at`` is on the clock that all processes share."""

    at: float
    took_s: float
    audio_s: float


@dataclass(frozen=True, slots=True)
class Api:
    """A server that runs."""

    base_url: str

    def take_log(self) -> list[Request]:
        """Return the requests since the last call, in order of arrival."""
        log = httpx.get(f"{self.base_url}/log").json()
        return sorted((Request(**request) for request in log), key=lambda request: request.at)


@contextmanager
def running_api(kind: Literal["simulated", "swift", "tones"]) -> Iterator[Api]:
    """Run the API in a process of its own for as long as the block lasts."""
    args = [sys.executable, "-m", "tests.bench.server", kind]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the simulated API could not be started")
            yield Api(url)
        finally:
            process.kill()
