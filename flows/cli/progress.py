"""What a batch shows while it runs: a bar a recording on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from stenoflow.flows.cli.console import messages, say
from stenoflow.flows.outcome import Outcome
from stenoflow.storage.database.reports import Progress as JobProgress
from stenoflow.storage.database.reports import Spending
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, clock

_LOOK_EVERY_S = 0.5
_PLAIN_EVERY_S = 10.0


@dataclass(slots=True)
class _Followed:
    """A job that is being looked after."""

    name: str
    duration_ms: int
    bar: TaskID | None = None
    told: str = ""


class Display(AbstractContextManager["Display"]):
    """Watches a batch; reads how far jobs are from the database, twice a second."""

    def __init__(self, context: AppContext, told: Callable[[Outcome], None]) -> None:
        """Prepare; ``told`` is called with each outcome as it comes."""
        self._context = context
        self._told = told
        self._jobs: dict[str, _Followed] = {}
        self._over = threading.Event()
        self._live = messages.is_terminal
        self._bars = _bars() if self._live else None
        self._wait_bar: TaskID | None = None
        self._thread = threading.Thread(target=self._follow, name="display", daemon=True)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._bars is not None:
            self._bars.stop()

    def opened(self, name: str, job_id: str, duration_ms: int) -> None:
        """Begin to show a job."""
        job = _Followed(name, duration_ms)
        if self._bars is not None:
            total = duration_ms * SAMPLE_RATE // 1000
            job.bar = self._bars.add_task(escape(_short(name)), total=total, segments="", cost="")
        else:
            say(f"{name}: job {job_id}, {clock(duration_ms)}")
        self._jobs[job_id] = job

    def waiting(self, what: str | None) -> None:
        """Show what the whole batch waits for."""
        if self._bars is None:
            if what is not None and self._wait_bar is None:
                self._wait_bar = TaskID(0)
                say(what)
        elif what is None and self._wait_bar is not None:
            self._bars.remove_task(self._wait_bar)
            self._wait_bar = None
        elif what is not None and self._wait_bar is None:
            self._wait_bar = self._bars.add_task(what, total=None, segments="", cost="")

    def ended(self, outcome: Outcome) -> None:
        """Show a source's end."""
        if outcome.job in self._jobs:
            self._look()
            self._jobs.pop(outcome.job)
        if outcome.error is not None:
            say(f"{outcome.status}: {outcome.error['message']}")
        self._told(outcome)

    def stopping(self, calls: int, grace_s: float) -> None:
        """Say that the batch ends."""
        if calls:
            say(
                f"Stopping: waiting up to {grace_s:.0f} s for {calls} calls that are paid for already. "
                "Press Ctrl-C again to stop now."
            )
        else:
            say("Stopping.")

    def _follow(self) -> None:
        every_s = _LOOK_EVERY_S if self._live else _PLAIN_EVERY_S
        while not self._over.wait(every_s):
            self._look()

    def _look(self) -> None:
        # Whether the work goes on without the database is for others to say.
        with suppress(StorageError):
            self._look_up()

    def _look_up(self) -> None:
        ids = list(self._jobs)
        if not ids:
            return
        for progress in self._context.reports.progress(ids):
            job = self._jobs.get(progress.job_id)
            if job is not None:
                self._show(job, progress, self._context.reports.spending([progress.job_id]))

    def _show(self, job: _Followed, progress: JobProgress, spent: Spending) -> None:
        segments = f"{progress.done}/{progress.segments}{'' if progress.planned else '+'} segments"
        cost = f"{show(spent.actual_micro)} USD" if not spent.unpriced else "price unknown"
        if self._bars is not None and job.bar is not None:
            self._bars.update(
                job.bar, completed=progress.done_samples, segments=f"{segments} segments", cost=cost
            )
            return
        line = f"{job.name}: {segments}, {cost}"
        if line != job.told:
            job.told = line
            say(line)


class _Speed(ProgressColumn):
    """Seconds of audio a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed / SAMPLE_RATE:5.1f}x" if speed else "      ", style="cyan")


class _TimeLeft(ProgressColumn):
    """Time left, once it can be told."""

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text(clock(int(left * 1000)) if left else "--:--:--", style="dim")


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[segments]}"),
        _Speed(),
        TextColumn("[green]{task.fields[cost]}"),
        _TimeLeft(),
        TimeElapsedColumn(),
        console=messages,
        # Results keep going to stdout where that is a file or a pipe.
        redirect_stdout=sys.stdout.isatty(),
        speed_estimate_period=120,
    )


def _short(name: str, length: int = 32) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
