"""Many sources in one call, side by side, under one limit of calls."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from stenoflow.flows.minutes import digest_of
from stenoflow.flows.minutes_outcome import MinutesOutcome, refused
from stenoflow.flows.notifications import open_notifications
from stenoflow.flows.outcome import Outcome, of_error, of_job, with_digest
from stenoflow.flows.prefect_start import Start, begin_start, surround
from stenoflow.flows.run import Run, open_run
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.errors import StenoflowError, TakenError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.plan import MinutesRequest
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob, TranscribeRequest
from stenoflow.tasks.jobs.transcribe.segment import StoppedError
from stenoflow.tasks.operations.verify import make_up
from stenoflow.tasks.sources import Source

T = TypeVar("T")

if TYPE_CHECKING:
    from prefect.client.schemas import State

_log = logging.getLogger(__name__)
# Without calls in flight, the flows get this long to end by themselves.
_SETTLING_S = 2.0
# How long Prefect may take to note the end of a flow whose job has ended; it tries for minutes otherwise.
_PREFECT_GRACE_S = 5.0
_PUBLISHED = {JobState.COMPLETE.value, JobState.PARTIAL.value}


class Stoppable(Protocol):
    """What can be asked to stop; a second time: at once."""

    def stop(self) -> None:
        """Begin nothing more."""


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
    """A source and what is wished of it.

    Attributes:
        again: even if its job was set aside.
        refused: why it is not even to be looked at; None: it is.
        told: told of its end before anybody else; returns the outcome with what is to be added.
    """

    source: Source
    wish: TranscribeRequest
    again: bool = False
    refused: StenoflowError | None = None
    told: Callable[[Outcome], Awaitable[Outcome]] | None = None


@dataclass(slots=True)
class Batch:
    """Several sources to be transcribed in one run.

    Attributes:
        formats: which artifacts outcomes name.
        concurrency: calls in flight at most.
        work: what is done on a begun job, by id and name, in place of a flow of its own: where this batch is
            run by a flow already.
        outer: what each call passes through beside this process's own limit.
        interrupted: somebody called `stop`.
    """

    context: AppContext
    formats: Sequence[str]
    concurrency: int
    watcher: Watcher
    work: Callable[[str, str], Awaitable[State[None]]] | None = None
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None
    interrupted: bool = False
    _run: Run | None = None
    _flows: set[asyncio.Future[None]] = field(default_factory=set)
    _digests: set[asyncio.Future[MinutesOutcome]] = field(default_factory=set)

    async def run(self, orders: Sequence[Order]) -> list[Outcome]:
        """Transcribe all; each source's end is told as it comes.

        Returns:
            The outcomes, in the order of the orders.
        """
        surround(self.context.settings.home)
        begin_start()
        async with self._open() as (room, one):

            async def in_turn(order: Order) -> Outcome:
                async with room:
                    return await one(order)

            return await asyncio.gather(*map(in_turn, orders))

    async def follow(self, orders: AsyncIterable[Order]) -> set[int]:
        """Transcribe what comes, until nothing more does; an order is asked for when there is room for it.

        Returns:
            The exit codes of all.
        """
        surround(self.context.settings.home)
        codes: set[int] = set()
        begun: set[asyncio.Task[None]] = set()
        coming = aiter(orders)
        async with self._open() as (room, one):

            async def beside(order: Order) -> None:
                codes.add((await one(order)).exit_code)
                room.release()

            try:
                while await room.acquire():
                    order = await anext(coming)
                    task = asyncio.create_task(beside(order))
                    begun.add(task)
                    task.add_done_callback(begun.discard)
            except StopAsyncIteration:
                pass
            finally:
                await asyncio.gather(*begun)
        return codes

    @property
    def is_cut_off(self) -> bool:
        """Whether no more calls can be made: the user or the provider stopped them all."""
        return self.interrupted or (self._run is not None and self._run.caller.limiter.is_stopped)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[tuple[asyncio.Semaphore, Callable[[Order], Awaitable[Outcome]]]]:
        """Open the run; gives the room for recordings at once, and what transcribes one."""
        # Enough recordings at once to keep all calls busy even where each is one short segment.
        room = asyncio.Semaphore(self.concurrency + 2)
        async with (
            open_run(self.context, self.concurrency, self.outer) as run,
            open_notifications(run) as notifier,
        ):
            self._run = run

            async def one(order: Order) -> Outcome:
                return await notifier.follow(order.wish.settings.model, self._one(run, order, begin_start()))

            yield room, one

    def stop(self) -> None:
        """Begin nothing more and keep the replies of calls in flight; a second time: drop those too."""
        if self._run is None:
            self.interrupted = True
        elif self.interrupted:
            self._cancel()
        else:
            self.interrupted = True
            self._run.interrupt()
            calls = self._run.caller.limiter.busy
            grace_s = self.context.settings.grace_s if calls else _SETTLING_S
            self.watcher.stopping(calls, grace_s)
            asyncio.get_running_loop().call_later(grace_s, self._cancel)

    async def _one(self, run: Run, order: Order, start: Start) -> Outcome:
        try:
            outcome = await self._transcribe(run, order, start)
        except Exception as error:  # noqa: BLE001 - one source's fault must not end the others
            if not isinstance(error, StenoflowError):
                _log.exception("%s", order.source.name)
            outcome = of_error(order.source.uri, error)
        outcome = await self._followed_by_digest(run, order, outcome)
        if order.told is not None:
            outcome = await order.told(outcome)
        self.watcher.ended(outcome)
        return outcome

    async def _followed_by_digest(self, run: Run, order: Order, outcome: Outcome) -> Outcome:
        """Make minutes of what was transcribed, where that is wished; they do not take it back."""
        wish = order.wish
        if not wish.digest or outcome.job is None or outcome.status not in _PUBLISHED or self.interrupted:
            return outcome
        asked = MinutesRequest(tag=wish.tag, budget_micro=wish.budget_micro)
        digest = asyncio.ensure_future(digest_of(run, outcome.job, asked))
        self._digests.add(digest)
        try:
            return with_digest(outcome, await digest)
        except StenoflowError as error:
            return with_digest(outcome, refused(outcome.job, error))
        except asyncio.CancelledError:
            stopped = StoppedError("interrupted before minutes were begun", "stenoflow digest makes them")
            return with_digest(outcome, refused(outcome.job, stopped))
        finally:
            self._digests.remove(digest)

    async def _transcribe(self, run: Run, order: Order, start: Start) -> Outcome:
        if self.interrupted:
            raise StoppedError(f"{order.source.name}: interrupted before it was begun")
        if order.refused is not None:
            raise order.refused
        taken = await run.prepare(order.source, order.wish)
        job_id = taken.job.id
        self.watcher.taken(order.source, job_id, taken.duration_ms)
        try:
            if taken.stream is not None:
                await self._work(run, order, taken, start)
            else:
                await run_blocking(make_up, self.context, taken.job)
            return await run_blocking(of_job, self.context, job_id, run.run_id, self.formats)
        except StenoflowError as error:
            # Its job could not say so itself: the database is gone, or never let us begin.
            return of_error(order.source.uri, error, job_id)

    async def _work(self, run: Run, order: Order, taken: PreparedJob, start: Start) -> None:
        """Begin a job, and see it to its end."""
        job_id = taken.job.id
        if not await run.begin(taken, again=order.again, wait=self.watcher.waiting):
            await run_blocking(make_up, self.context, await run_blocking(self.context.catalog.job, job_id))
            return
        flow = asyncio.ensure_future(self._flow(job_id, order.source.name, start))
        self._flows.add(flow)
        await run.feeds[job_id].ended_or(flow, _PREFECT_GRACE_S)
        self._flows.remove(flow)
        await run.end(job_id)
        await self._settle_job(job_id, flow)

    async def _settle_job(self, job_id: str, flow: asyncio.Future[None]) -> None:
        """See that a job whose flow did not come to its end says so.

        What a job says of itself counts: Prefect may have been lost after it had all its answers.
        """
        # Prefect may still be trying to reach its server.
        error = flow.exception() if flow.done() and not flow.cancelled() else None
        job, run_id = await run_blocking(self.context.catalog.job, job_id), self.context.run_id
        if job.state != JobState.RUNNING or job.run_id != run_id or isinstance(error, TakenError):
            if error is not None:
                _log.warning("job %s ended as %s, its flow with: %s", job_id, job.state, error)
        elif error is None:
            await run_blocking(self.context.catalog.set_state, job_id, JobState.INTERRUPTED)
        else:
            if not isinstance(error, StenoflowError):
                _log.error("job %s", job_id, exc_info=error)
                error = StenoflowError(f"{type(error).__name__}: {error}", "STENOFLOW_DEBUG=1 shows where")
            await run_blocking(self.context.catalog.set_state, job_id, JobState.FAILED, error)

    async def _flow(self, job_id: str, name: str, start: Start) -> None:
        if not start.done:
            self.watcher.waiting("starting Prefect (the first time on a machine takes longest)")
        await start.ready()
        self.watcher.waiting(None)
        from stenoflow.flows.transcribe import transcribe_recording  # noqa: PLC0415 - imports Prefect

        state: State[Any]
        if self.work is None:
            state = await transcribe_recording(job_id, name, return_state=True)
        else:
            state = await self.work(job_id, name)
        job = await run_blocking(self.context.catalog.job, job_id)
        if job.state == JobState.RUNNING and job.run_id == self.context.run_id:
            # The flow ended without a word in the job: whatever it raised is the reason.
            reason = await state.aresult(raise_on_failure=False)
            raise reason if isinstance(reason, Exception) else StenoflowError(f"the flow ended {state.name}")

    def _cancel(self) -> None:
        under_way: list[asyncio.Future[Any]] = [*self._flows, *self._digests]
        for work in under_way:
            work.cancel()


def run_to_its_end(
    batch: Stoppable, work: Coroutine[Any, Any, T], stop: Callable[[], object] = lambda: None
) -> T:
    """Run a batch's work from the main thread; SIGINT and SIGTERM stop the batch, and call ``stop``.

    The event loop has a thread of its own: in the main thread, Prefect would put a handler of its own
    for SIGTERM in place of ours, and that one breaks calls off.
    """

    def end() -> None:
        batch.stop()
        stop()

    with ThreadPoolExecutor(1, thread_name_prefix="batch") as pool, asyncio.Runner() as runner:
        loop = runner.get_loop()
        ended = pool.submit(runner.run, work)
        with _on_signal(lambda: loop.call_soon_threadsafe(end)):
            return ended.result()


@contextmanager
def _on_signal(act: Callable[[], object]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: act()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
