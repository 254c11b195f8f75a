"""What is shown while texts are spoken or minutes are made: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stenoflow.flows.cli.console import messages, say
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.reports import Progress as JobProgress
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext

_LOOK_EVERY_S = 0.5
_PLAIN_EVERY_S = 10.0


@asynccontextmanager
async def watching(
    context: AppContext, job_ids: Sequence[str], what: str = "pieces spoken"
) -> AsyncIterator[None]:
    """Show how far jobs are, as the database has it, for as long as the block lasts; ``what``: is counted."""
    look = _bars if messages.is_terminal else _lines
    watch = asyncio.create_task(look(context, job_ids, what))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def _bars(context: AppContext, job_ids: Sequence[str], what: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    # Results keep going to stdout where that is a file or a pipe.
    redirected = sys.stdout.isatty()
    with Progress(*columns, console=messages, transient=True, redirect_stdout=redirected) as bars:
        bar = bars.add_task("starting", total=None)
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            told = await _told(context, job_ids, what)
            if told is not None:
                done, total, text = told
                bars.update(bar, completed=done, total=total, description=text)


async def _lines(context: AppContext, job_ids: Sequence[str], what: str) -> None:
    before = ""
    while True:
        await asyncio.sleep(_PLAIN_EVERY_S)
        told = await _told(context, job_ids, what)
        if told is not None and told[2] != before:
            before = told[2]
            say(before)


async def _told(context: AppContext, job_ids: Sequence[str], what: str) -> tuple[int, int, str] | None:
    """Return pieces done, pieces in all, and both with the cost in words; None while nothing can be told."""
    # Whether the work goes on without the database is for others to say.
    with suppress(StorageError):
        each: list[JobProgress] = await run_blocking(context.reports.progress, job_ids)
        spent = await run_blocking(context.reports.spending, job_ids)
        done, total = sum(one.done for one in each), sum(one.segments for one in each)
        cost = "price unknown" if spent.unpriced else f"{show(spent.actual_micro)} USD"
        return (done, total, f"{done}/{total} {what}, {cost}") if total else None
    return None
