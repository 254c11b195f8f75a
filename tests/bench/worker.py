"""The program's steps in a process that is warm: one JSON command a line in, one JSON answer a line out.

Run as ``python -m tests.bench.worker`` by `tests.bench.warm`. The steps are the product's own; around them
is what a measurement needs: an empty home for each, a clock, and who was handed over when.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from stenoflow.flows.runner import run_until_signal
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.tasks.artifacts.formats import STANDARD
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.transcribe.prepare import prepare
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest, request_of
from stenoflow.tasks.jobs.transcribe.segment import RecordingSegmenter
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources import Source, resolve
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from tests.bench.measuring import spending
from tests.bench.product import empty_home
from tests.bench.profiling import profiled
from tests.flows.silent import silent_runner

# As many segments ahead as the flow lets wait, with calls in flight as by default.
_AHEAD = 8


class _Noted(RecordingSegmenter):
    """Cutting that notes when segments were handed over."""

    handed: ClassVar[list[float]] = []

    def run(self, hand_over: Callable[[int], None]) -> None:
        def note(index: int) -> None:
            self.handed.append(time.monotonic())
            hand_over(index)

        super().run(note)


def split(path: Path) -> dict[str, Any]:
    """Cut a recording; each segment is let go the moment that it is whole."""
    handed: list[float] = []
    with _app_context() as context:
        prepared = prepare(context, *_asked(context, path))
        segmenter = RecordingSegmenter(context, prepared, _AHEAD)

        def let_go(index: int) -> None:
            handed.append(time.monotonic())
            segmenter.release(index)

        began = time.monotonic()
        with spending() as spent:
            segmenter.run(let_go)
        segmenter.close()
    return {
        "wall_s": spent.wall_s,
        "cpu_s": spent.cpu_s,
        "first_s": handed[0] - began,
        "segments": len(handed),
    }


def job(path: Path) -> dict[str, Any]:
    """Do the whole job, from taking in to publishing."""
    _Noted.handed.clear()
    with _app_context() as context, patch("stenoflow.flows.run.RecordingSegmenter", _Noted):
        runner = silent_runner(context, context.settings.concurrency)
        work = TranscribeWork(*_asked(context, path), STANDARD)
        began = time.monotonic()
        with spending() as spent:
            (outcome,) = run_until_signal(runner, runner.run_all([work]))
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


_STEPS: dict[str, Callable[..., dict[str, Any]]] = {step.__name__: step for step in (split, job, profile)}


@contextmanager
def _app_context() -> Iterator[AppContext]:
    with empty_home() as home, open_context(load_settings(home=home)) as context:
        context.check()
        yield context


def _asked(context: AppContext, path: Path) -> tuple[Source, TranscribeRequest]:
    (source,) = resolve(str(path), context.s3)
    return source, request_of(context, RecordingOptions())


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
