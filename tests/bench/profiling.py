"""cProfile in every thread, by the processor's time: what waits does not hide what works."""

from __future__ import annotations

import cProfile
import io
import pstats
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_LINES = 25


class Report:
    """Filled when the block ends.

    Attributes:
        table: the costliest functions, by what they and all that they call took.
    """

    table: str = ""


@contextmanager
def profiled() -> Iterator[Report]:
    """Profile the threads that begin and end within the block."""
    profiles: list[tuple[threading.Thread, cProfile.Profile]] = []
    report = Report()

    def begin(_frame: FrameType, _event: str, _argument: Any) -> None:
        # Called at a new thread's first step, and replaced by this as that thread's profiler.
        profile = cProfile.Profile(time.thread_time)
        profiles.append((threading.current_thread(), profile))
        profile.enable()

    threading.setprofile(begin)
    try:
        yield report
    finally:
        threading.setprofile(None)
        # What still runs has no end to its last call.
        report.table = _table([profile for thread, profile in profiles if not thread.is_alive()])


def _table(profiles: list[cProfile.Profile]) -> str:
    out = io.StringIO()
    total: pstats.Stats | None = None
    for profile in profiles:
        profile.create_stats()
        if total is None:
            total = pstats.Stats(profile, stream=out)
        else:
            total.add(profile)
    if total is not None:
        total.sort_stats("cumulative").print_stats(_LINES)
    return out.getvalue()
