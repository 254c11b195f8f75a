"""Show how far jobs are while a command runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from stenoflow.flows.cli import console
from stenoflow.flows.cli.console import count, harmless, is_live, messages, say, shorten
from stenoflow.flows.outcome import Outcome
from stenoflow.storage.database.reports import JobProgress
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, clock

_REFRESH_S = 0.5
_PLAIN_LINE_S = 10.0
# What is waited for is said sooner: a person asks after some seconds.
_WAIT_S = 2.0
# Elsewhere than on a terminal, a wait that lasts is said so often.
_SAID_AGAIN_S = 60.0
# How long it took so far, or how many there are, does not make another wait of it.
_AMOUNT = re.compile(r"\d+ \w+")
# Columns of a terminal; with fewer, names and bars are shorter.
_WIDE = 110


@dataclass(slots=True)
class _Row:
    """One line of the display.

    Attributes:
        name: of the recording or the job.
        unit: what is counted, such as ``segment`` or ``piece spoken``.
        total_samples: length of the recording, by which the bar grows; None: it grows by units.
        done_before: units that were done when this run came to it.
    """

    name: str
    job: str
    unit: str
    total_samples: int | None = None
    bar: TaskID | None = None
    last_line: str = ""
    begun_at: float = field(default_factory=time.monotonic)
    done_before: int | None = None


class ProgressDisplay(AbstractContextManager["ProgressDisplay"]):
    """Shows the progress of jobs, a line each, which it reads from the database by itself."""

    def __init__(self, context: AppContext, on_outcome: Callable[[Outcome], None]) -> None:
        """Prepare the display; ``on_outcome`` is called with each outcome as it comes."""
        self._context = context
        self._on_outcome = on_outcome
        self._rows: dict[str, _Row] = {}
        self._over = threading.Event()
        self._bars = _bars() if is_live() else None
        self._other_run: str | None = None
        self._waits_for: Callable[[], str | None] = lambda: None
        self._other_run_since = 0.0
        self._said_at: dict[str, float] = {}
        self._thread = threading.Thread(target=self._refresh_until_over, name="display", daemon=True)

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

    def opened(self, name: str, job_id: str, duration_ms: int, unit: str) -> None:
        """Begin to show a job."""
        in_samples = unit == "segment"
        if self._bars is None and in_samples:
            say(f"{name}: job {job_id}, {clock(duration_ms)}", job=job_id, run=self._context.run_id)
        total = duration_ms * SAMPLE_RATE // 1000 if in_samples else None
        row = _Row(name, job_id, unit, total)
        if self._bars is not None:
            row.bar = self._bars.add_task(_label(name), total=total, **_NOTHING_YET)
        self._rows[job_id] = row

    def explain_waits_by(self, waits_for: Callable[[], str | None]) -> None:
        """Take from there what calls wait for."""
        self._waits_for = waits_for

    def waiting(self, what: str | None) -> None:
        """Show what all jobs wait for; None: for nothing any more."""
        self._other_run, self._other_run_since = what, time.monotonic()
        self._show_wait(what, what)

    def _show_wait(self, what: str | None, kind: str | None) -> None:
        if self._bars is not None:
            self._bars.wait = what
            return
        if what is None or kind is None:
            return
        now = time.monotonic()
        if kind not in self._said_at or now - self._said_at[kind] >= _SAID_AGAIN_S:
            self._said_at[kind] = now
            say(what, run=self._context.run_id)

    def ended(self, outcome: Outcome) -> None:
        """Show a job's end."""
        if outcome.job in self._rows:
            self._refresh([self._rows.pop(outcome.job)], ended=True)
        # Why a recording is refused is said by the result, too, on the same terminal or in the same file.
        is_said = outcome.status == "refused" and console.is_one_place()
        if outcome.error is not None and not is_said:
            why = f"{outcome.status}: {outcome.error['message']}"
            say(why, job=outcome.job, run=self._context.run_id, warning=True)
        self._on_outcome(outcome)

    def stopping(self, calls: int, grace_s: float) -> None:
        """Say that the work ends, and what is waited for."""
        if calls:
            paid = f"{count(calls, 'call')} that {'is' if calls == 1 else 'are'} paid for already"
            say(f"Stopping: waiting up to {grace_s:.0f} s for {paid}. Press Ctrl-C again to stop now.")
        else:
            say("Stopping.")

    def _refresh_until_over(self) -> None:
        every_s = min(_WAIT_S, _PLAIN_LINE_S) if self._bars is None else _REFRESH_S
        looks = 1 if self._bars is not None else round(_PLAIN_LINE_S / every_s)
        look = 0
        while not self._over.wait(every_s):
            look += 1
            if look % looks == 0:
                self._refresh(list(self._rows.values()))
            else:
                self._refresh_wait()
        if self._bars is not None:
            self._bars.wait = None

    def _refresh(self, rows: Sequence[_Row], *, ended: bool = False) -> None:
        # The work itself says when the database is away; the display just shows nothing new.
        with suppress(StorageError):
            for row in rows:
                self._show(row, ended=ended)
        self._refresh_wait()

    def _refresh_wait(self) -> None:
        if self._other_run:
            so_far = time.monotonic() - self._other_run_since
            self._show_wait(f"{self._other_run} ({so_far:.0f} s so far)", self._other_run)
        elif self._rows:
            what = self._waits_for()
            self._show_wait(what, _AMOUNT.sub("", what or ""))

    def _show(self, row: _Row, *, ended: bool) -> None:
        progress = self._context.reports.progress([row.job])
        spent = self._context.reports.spending([row.job])
        if not sum(each.segments for each in progress) and row.total_samples is None:
            return
        counted = _counted(row, progress)
        cost = "price unknown" if spent.unpriced else f"{show(spent.actual_micro)} USD"
        if self._bars is not None and row.bar is not None:
            in_samples = row.total_samples is not None
            self._bars.update(
                row.bar,
                description=_label(row.name),
                completed=sum(each.done_samples if in_samples else each.done for each in progress),
                total=row.total_samples if in_samples else sum(each.segments for each in progress),
                counted=counted,
                cost=cost,
                **self._times(row, progress, ended=ended),
            )
            return
        line = f"{row.name}: {counted}, {cost}"
        if line != row.last_line:
            row.last_line = line
            say(line, job=row.job, run=self._context.run_id)

    def _times(self, row: _Row, progress: Sequence[JobProgress], *, ended: bool) -> dict[str, Any]:
        """Tell how fast this run is, and how long it takes yet; what others did before it does not count."""
        took_s = time.monotonic() - row.begun_at
        done = sum(each.done for each in progress)
        row.done_before = done if row.done_before is None else row.done_before
        if row.total_samples is None:
            own, left = done - row.done_before, sum(each.segments for each in progress) - done
        else:
            own = self._context.reports.samples_of_run(row.job, self._context.run_id)
            left = row.total_samples - sum(each.done_samples for each in progress)
        left_s = left * took_s / own if own and left > 0 and not ended else 0.0
        return {
            "speed": f"{own / SAMPLE_RATE / took_s:5.1f}x"
            if own and row.total_samples is not None
            else _NOTHING_YET["speed"],
            "left": clock(math.ceil(left_s) * 1000) if left_s else _NOTHING_YET["left"],
            "took": str(timedelta(seconds=int(took_s))),
        }


# What the columns show before anything is known; those of times are as wide as later.
_NOTHING_YET: dict[str, Any] = {"counted": "", "cost": "", "speed": " " * 6, "left": " " * 8, "took": " " * 7}


def _counted(row: _Row, progress: Sequence[JobProgress]) -> str:
    """Write ``2/4 segments``, or ``2/4+ segments`` while more may come."""
    done, total = sum(each.done for each in progress), sum(each.segments for each in progress)
    more = row.total_samples is not None and not all(each.planned for each in progress)
    noun, _, verb = row.unit.partition(" ")
    noun = noun if total == 1 and not more else f"{noun}s"
    return f"{done}/{total}{'+' if more else ''} {noun} {verb}".rstrip()


class _Bars(Progress):
    """Bars, and below them what is waited for: in a column of its own it would squeeze the others."""

    wait: str | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the table of bars, and the line below it."""
        yield from super().get_renderables()
        if self.wait is not None:
            yield Text(harmless(self.wait), style="yellow", no_wrap=True, overflow="ellipsis")


def _bars() -> _Bars:
    is_wide = messages.width >= _WIDE
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24 if is_wide else 8),
        TextColumn("{task.fields[counted]}"),
        TextColumn("[cyan]{task.fields[speed]}", justify="right"),
        TextColumn("[green]{task.fields[cost]}"),
        TextColumn("[dim]{task.fields[left]}"),
        *([TextColumn("[dim]{task.fields[took]}")] if is_wide else []),
    ]
    return _Bars(
        *columns,
        console=messages,
        # Results keep going to stdout where that is a file or a pipe.
        redirect_stdout=sys.stdout.isatty(),
    )


def _label(name: str) -> str:
    return escape(shorten(harmless(name), 32 if messages.width >= _WIDE else 20))
