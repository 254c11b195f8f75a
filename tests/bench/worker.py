"""The program's steps in a process that is warm: one JSON command a line in, one JSON answer a line out.

Run as ``python -m tests.bench.worker`` by `tests.bench.warm`. The steps are the product's own; around them
is what a measurement needs: an empty home for each, a clock, and who was handed over when.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from flows.batch import Batch, Order, run_to_its_end
from flows.orchestration import begin_start, surround
from flows.outcome import Outcome
from tasks.artifacts.formats import STANDARD
from tasks.cutting import Cutting
from tasks.hearing import Wanted, job_settings
from tasks.intake import Wish, take_in
from tasks.settings import load_settings
from tasks.sources import Source, resolve
from tasks.workshop import Workshop, open_workshop
from tests.bench.measuring import spending
from tests.bench.product import empty_home
from tests.bench.profiling import profiled

# As many segments ahead as the flow lets wait, with calls in flight as by default.
_AHEAD = 8


class _Silent:
    """Nobody watches."""

    def taken(self, source: Source, job_id: str, duration_ms: int) -> None:
        """A job is open."""

    def waiting(self, what: str | None) -> None:
        """The batch waits."""

    def ended(self, outcome: Outcome) -> None:
        """A source has come to its end."""

    def stopping(self, calls: int, grace_s: float) -> None:
        """The user asked to stop."""


class _Noted(Cutting):
    """Cutting that notes when segments were handed over."""

    handed: ClassVar[list[float]] = []

    def run(self, hand_over: Callable[[int], None]) -> None:
        def note(index: int) -> None:
            self.handed.append(time.monotonic())
            hand_over(index)

        super().run(note)


def start() -> dict[str, Any]:
    """Start Prefect, as the first job would."""
    surround(Path(os.environ["STENOFLOW_HOME"]))
    with spending() as spent:
        asyncio.run(begin_start().ready())
    return {"wall_s": spent.wall_s}


def split(path: Path) -> dict[str, Any]:
    """Cut a recording; each segment is let go the moment that it is whole."""
    handed: list[float] = []
    with _workshop() as workshop:
        taken = take_in(workshop, *_asked(workshop, path))
        cutting = Cutting(workshop, taken, _AHEAD)

        def let_go(index: int) -> None:
            handed.append(time.monotonic())
            cutting.release(index)

        began = time.monotonic()
        with spending() as spent:
            cutting.run(let_go)
        cutting.close()
    return {
        "wall_s": spent.wall_s,
        "cpu_s": spent.cpu_s,
        "first_s": handed[0] - began,
        "segments": len(handed),
    }


def job(path: Path) -> dict[str, Any]:
    """Do the whole job, from taking in to publishing."""
    _Noted.handed.clear()
    with _workshop() as workshop, patch("flows.running.Cutting", _Noted):
        batch = Batch(workshop, STANDARD, workshop.settings.concurrency, _Silent())
        order = Order(*_asked(workshop, path))
        began = time.monotonic()
        with spending() as spent:
            (outcome,) = run_to_its_end(batch, batch.run([order]))
    if outcome.status != "complete":
        raise RuntimeError(f"{outcome.status}: {outcome.error}")
    return {
        "began": began,
        "wall_s": spent.wall_s,
        "cpu_s": spent.cpu_s,
        "first_s": _Noted.handed[0] - began,
        "segments": outcome.segments,
    }


def profile(path: Path) -> dict[str, Any]:
    """Do the whole job with the profiler on."""
    with profiled() as report:
        measured = job(path)
    return measured | {"table": report.table}


_STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    step.__name__: step for step in (start, split, job, profile)
}


@contextmanager
def _workshop() -> Iterator[Workshop]:
    with empty_home() as home, open_workshop(load_settings(home=home)) as workshop:
        workshop.check()
        yield workshop


def _asked(workshop: Workshop, path: Path) -> tuple[Source, Wish]:
    (source,) = resolve(str(path), workshop.s3)
    return source, Wish(job_settings(workshop.settings, workshop.models, Wanted()))


def main() -> None:
    """Answer commands until standard input ends."""
    # What anybody else prints must not stand between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        command, *paths = json.loads(line)
        try:
            answer = _STEPS[command](*map(Path, paths))
        except Exception as error:  # noqa: BLE001 - the bench says which row could not be run, and why
            answer = {"failed": f"{type(error).__name__}: {error}", "where": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
