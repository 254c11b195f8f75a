"""One process's run: what its flows and tasks share, and what they find by a job's id alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.errors import StenoflowError, TakenError
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.provider import open_api
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob, TranscribeRequest, prepare
from stenoflow.tasks.jobs.transcribe.run import SegmentTranscriber
from stenoflow.tasks.jobs.transcribe.segment import RecordingSegmenter, StoppedError
from stenoflow.tasks.sources import Source

# Encoded segments that may wait beyond those in flight, for each recording.
_SPARE_SEGMENTS = 2
# Cutting is bound by the processor.
_CUTTINGS_AT_ONCE = 2
# How often to look whether another run has come to its end.
_LOOK_AGAIN_S = 1.0


class InterruptedByUserError(CallError):
    """The user asked to stop."""

    kind = "interrupted"
    scope = "provider"


class Feed:
    """The segments of one recording as they are cut. Made by `Run.begin`; iterate over it once."""

    def __init__(
        self, cutting: RecordingSegmenter, pool: ThreadPoolExecutor, transcriber: SegmentTranscriber
    ) -> None:
        self.cutting = cutting
        self.transcriber = transcriber
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[int | None] = asyncio.Queue()
        self._published = asyncio.Event()
        self._ended = self._loop.run_in_executor(pool, self._cut)

    async def __aiter__(self) -> AsyncIterator[int]:
        """Yield the indices of segments to transcribe; raises what cutting raised."""
        while (index := await self._ready.get()) is not None:
            yield index
        await self._ended

    def ended(self) -> None:
        """Say that the job has come to its end, which stands in the database."""
        self._published.set()

    async def ended_or(self, flow: asyncio.Future[None], grace_s: float) -> None:
        """Wait for a job's flow; when the job has ended, for no longer than a grace, and then cancel it."""
        published = asyncio.ensure_future(self._published.wait())
        first: list[asyncio.Future[Any]] = [flow, published]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        published.cancel()
        await asyncio.wait([flow], timeout=grace_s)
        if flow.cancel():
            await asyncio.wait([flow], timeout=grace_s)

    async def close(self) -> None:
        """Stop cutting and delete what is left of the sound."""
        self.cutting.stop()
        await asyncio.wait([self._ended])
        if not self._ended.cancelled():
            self._ended.exception()
        await run_blocking(self.cutting.close)

    def _cut(self) -> None:
        try:
            self.cutting.run(self._hand_over)
        finally:
            self._loop.call_soon_threadsafe(self._ready.put_nowait, None)

    def _hand_over(self, index: int) -> None:
        self._loop.call_soon_threadsafe(self._ready.put_nowait, index)


@dataclass(slots=True)
class Run:
    """What the flows of one process share. Belongs to one event loop."""

    context: AppContext
    caller: Caller
    concurrency: int
    pool: ThreadPoolExecutor
    feeds: dict[str, Feed] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def run_id(self) -> str:
        """Stands in the ledger with every call of this run."""
        return self.context.run_id

    async def prepare(self, source: Source, wish: TranscribeRequest) -> PreparedJob:
        """Take a source in; see `stenoflow.tasks.jobs.transcribe.prepare.prepare`."""
        return await run_blocking(prepare, self.context, source, wish, self._check_interrupted)

    async def begin(self, taken: PreparedJob, *, again: bool, wait: Callable[[str | None], None]) -> bool:
        """Claim a job and begin to cut its recording, before its flow asks for the segments.

        Args:
            taken: the job and its recording.
            again: begin it even if it was set aside.
            wait: told what is waited for; None: for nothing any more.

        Returns:
            Whether there is anything to do; False where another run has completed it meanwhile.

        Raises:
            CrashedError: it is set aside.
            StoppedError: the user asked to stop while another run's end was waited for.
        """
        job_id = taken.job.id
        unfinished = taken.job.state != JobState.COMPLETE
        while (claimed := await self._claim(job_id, again=again, unfinished=unfinished)) is None:
            wait(f"{taken.recording.name}: another run is at work on it; waiting for its end")
            await asyncio.sleep(_LOOK_AGAIN_S)
            self._check_interrupted(0)
        wait(None)
        if not claimed:
            return False
        await run_blocking(
            self.context.ledger.recover,
            job_id,
            StenoflowError("the run that made this call was broken off"),
        )
        await run_blocking(self.context.catalog.retry_parked, job_id)
        cutting = RecordingSegmenter(self.context, taken, self.concurrency + _SPARE_SEGMENTS)
        self.feeds[job_id] = Feed(cutting, self.pool, SegmentTranscriber.of(self.caller, taken))
        return True

    async def _claim(self, job_id: str, *, again: bool, unfinished: bool) -> bool | None:
        """Claim a job, as the catalog does; None while another run is at work on it."""
        try:
            return await run_blocking(self.context.catalog.claim, job_id, again=again, unfinished=unfinished)
        except TakenError:
            return None

    async def end(self, job_id: str) -> None:
        """Forget a job's feed."""
        feed = self.feeds.pop(job_id, None)
        if feed is not None:
            await feed.close()

    async def transcribe(self, job_id: str, index: int) -> None:
        """Transcribe one segment; see `stenoflow.tasks.jobs.transcribe.run`."""
        feed = self.feeds[job_id]
        try:
            await feed.transcriber.transcribe(index, self.sound(job_id, index))
        finally:
            await run_blocking(feed.cutting.release, index)

    def sound(self, job_id: str, index: int) -> Path:
        """Return where a segment's sound lies."""
        return self.feeds[job_id].cutting.path(index)

    def interrupt(self) -> None:
        """Send nothing more and cut nothing more; calls in flight go on."""
        self.interrupted = True
        self.caller.limiter.stop(InterruptedByUserError("stopped before it was sent", "resume goes on"))
        for feed in self.feeds.values():
            feed.cutting.stop()

    def _check_interrupted(self, _bytes: int) -> None:
        """End what nobody waits for any more."""
        if self.interrupted:
            raise StoppedError("interrupted before it was begun")


_current: list[Run] = []


def current_run() -> Run:
    """Return this process's run; flows and tasks get ids only, and find the rest here."""
    if not _current:
        raise StenoflowError("no run is open in this process")
    return _current[-1]


@asynccontextmanager
async def open_run(
    context: AppContext,
    concurrency: int,
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> AsyncIterator[Run]:
    """Open the process's run: the client of the API, its limiter, and the threads that cut."""
    with (
        context.leases.held(context.run_id),
        ThreadPoolExecutor(_CUTTINGS_AT_ONCE, thread_name_prefix="cutting") as pool,
    ):
        async with open_api(context.settings, context.models) as api:
            caller = Caller(context, api, Limiter(concurrency, outer=outer))
            run = Run(context, caller, concurrency, pool)
            _current.append(run)
            try:
                yield run
            finally:
                _current.remove(run)
                for job_id in list(run.feeds):
                    await run.end(job_id)
