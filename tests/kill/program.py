"""The command, in which every side effect passes a named point; at the one asked for it kills itself.

Run as ``python -m tests.kill.program POINT ARGUMENTS…``. A point is ``Class.method:before:2``: before the
second call of that method; what it is given or returns does not matter. ``-`` kills nowhere; then, and
always, each point that is passed is written to the file that KILL_POINTS names.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stenoflow.flows.cli import main
from stenoflow.storage.database.catalog import Catalog
from stenoflow.storage.database.ledger import Ledger
from stenoflow.storage.objects.local import LocalStore
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.jobs.transcribe.segment import RecordingSegmenter

SIDE_EFFECTS: dict[type[Any], tuple[str, ...]] = {
    Catalog: (
        *("open_job", "describe", "claim", "add_segment"),
        *("finish_plan", "record_artifacts", "set_state"),
    ),
    Ledger: ("recover", "begin", "succeed", "mark_unknown", "refuse", "mark_cached"),
    AudioApi: ("transcribe",),
    RecordingSegmenter: ("_encode", "release"),
    LocalStore: ("put_bytes",),
}


class Points:
    """Counts what is passed, and kills at one."""

    def __init__(self, fatal: str, log: Path) -> None:
        self._fatal = fatal
        self._log = log
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, name: str) -> None:
        with self._lock:
            self._passed[name] += 1
            point = f"{name}:{self._passed[name]}"
            with self._log.open("a", encoding="utf-8") as log:
                log.write(point + "\n")
            if point == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def watch(points: Points) -> None:
    """Put a point before and behind every side effect."""
    for owner, methods in SIDE_EFFECTS.items():
        for method in methods:
            watched = _watched(f"{owner.__name__}.{method}", getattr(owner, method), points)
            setattr(owner, method, watched)


def _watched(name: str, act: Callable[..., Any], points: Points) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(act):

        @functools.wraps(act)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            points.passed(f"{name}:before")
            result = await act(*args, **kwargs)
            points.passed(f"{name}:behind")
            return result

        return waiting

    @functools.wraps(act)
    def acting(*args: Any, **kwargs: Any) -> Any:
        points.passed(f"{name}:before")
        result = act(*args, **kwargs)
        points.passed(f"{name}:behind")
        return result

    return acting


if __name__ == "__main__":
    watch(Points(sys.argv[1], Path(os.environ["KILL_POINTS"])))
    sys.argv[1:] = sys.argv[2:]
    main()
