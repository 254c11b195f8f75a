"""Many sources in one call, side by side, under one limit of calls."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from flows.orchestration import Start, begin_start, surround
from flows.outcome import Outcome, of_error, of_job
from flows.running import Run, open_run
from storage.database.states import JobState
from storage.errors import StenoflowError
from tasks.intake import Wish
from tasks.settling import settle
from tasks.sources import Source
from tasks.workshop import Workshop

_log = logging.getLogger(__name__)
# Without calls in flight, the flows get this long to end by themselves.
_SETTLING_S = 2.0


class Watcher(Protocol):
    """Who is told what happens; the display of a terminal, or plain lines."""

    def taken(self, source: Source, job_id: str, duration_ms: int) -> None:
        """A job is open."""

    def waiting(self, what: str | None) -> None:
        """The whole batch waits for something; None: not any more."""

    def ended(self, outcome: Outcome) -> None:
        """A source has come to its end."""

    def stopping(self, calls: int, grace_s: float) -> None:
        """The user asked to stop; calls in flight are waited for."""


@dataclass(frozen=True, slots=True)
class Order:
    """A source and what is wished of it."""

    source: Source
    wish: Wish


@dataclass(slots=True)
class Batch:
    """Several sources to be transcribed in one run.

    Attributes:
        formats: which artifacts outcomes name.
        concurrency: calls in flight at most.
    """

    workshop: Workshop
    formats: Sequence[str]
    concurrency: int
    watcher: Watcher
    interrupted: bool = False

    async def run(self, orders: Sequence[Order]) -> list[Outcome]:
        """Transcribe all; each source's end is told as it comes.

        Returns:
            The outcomes, in the order of the orders.
        """
        surround(self.workshop.settings.home)
        start = begin_start()
        # Enough recordings at once to keep all calls busy even where each is one short segment.
        room = asyncio.Semaphore(self.concurrency + 2)
        async with open_run(self.workshop, self.concurrency) as run:
            jobs = [asyncio.create_task(self._one(run, order, room, start)) for order in orders]
            with self._stopping_on_signal(run, jobs):
                return await asyncio.gather(*jobs)

    async def _one(self, run: Run, order: Order, room: asyncio.Semaphore, start: Start) -> Outcome:
        async with room:
            try:
                outcome = await self._transcribe(run, order, start)
            except Exception as error:  # noqa: BLE001 - one source's fault must not end the others
                if not isinstance(error, StenoflowError):
                    _log.exception("%s", order.source.name)
                outcome = of_error(order.source.uri, error)
        self.watcher.ended(outcome)
        return outcome

    async def _transcribe(self, run: Run, order: Order, start: Start) -> Outcome:
        source = order.source
        if run.interrupted:
            raise StenoflowError(f"{source.name}: interrupted before it was begun", "give it again to begin")
        taken = await run.take_in(source, order.wish)
        job_id = taken.job.id
        self.watcher.taken(source, job_id, taken.duration_ms)
        if taken.stream is not None:
            await run.begin(taken)
            try:
                await self._flow(job_id, source.name, start)
            except asyncio.CancelledError:
                if not self.interrupted:
                    raise
                await settle(self.workshop.catalog.set_state, job_id, JobState.INTERRUPTED)
            finally:
                await run.end(job_id)
        return await settle(of_job, self.workshop, job_id, run.run_id, self.formats)

    async def _flow(self, job_id: str, name: str, start: Start) -> None:
        if not start.done:
            self.watcher.waiting("starting Prefect (the first time on a machine takes longest)")
        await start.ready()
        self.watcher.waiting(None)
        from flows.transcription import transcribe_recording  # noqa: PLC0415 - imports Prefect

        await transcribe_recording(job_id, name, return_state=True)

    @contextmanager
    def _stopping_on_signal(self, run: Run, jobs: Sequence[asyncio.Task[Outcome]]) -> Iterator[None]:
        """Ask the first signal to stop in order, and the second to stop at once."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)

        def stop() -> None:
            if run.interrupted:
                _cancel(jobs)
                return
            self.interrupted = True
            run.interrupt()
            calls = run.transcriber.gate.busy
            grace_s = self.workshop.settings.grace_s if calls else _SETTLING_S
            self.watcher.stopping(calls, grace_s)
            loop.call_later(grace_s, _cancel, jobs)

        for number in signals:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def _cancel(jobs: Sequence[asyncio.Task[Outcome]]) -> None:
    for job in jobs:
        job.cancel()
