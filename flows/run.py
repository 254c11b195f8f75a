"""The run: what the jobs of one process share; and the segments of one recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, Self

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.assembly.job_settings import Speakers
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.provider import open_second_opinion, provider_name
from stenoflow.tasks.calls.routes import Routes
from stenoflow.tasks.calls.transcribe import SecondOpinion
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import StoppedError
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob

# Encoded segments that may wait beyond those in flight, for each recording.
_SPARE_SEGMENTS = 2
# Segmenting is bound by the processor.
_SEGMENTERS_AT_ONCE = 2

Limit = Callable[[], AbstractAsyncContextManager[None]]


SegmentStep = Callable[["Segments", int], Awaitable[None]]
"""Transcribes a segment, plainly or as a task run of Prefect's."""


class RecordingStep(Protocol):
    """Transcribes a recording whose job is claimed."""

    def __call__(
        self, run: Run, prepared: PreparedJob, transcribe_segment: SegmentStep = ..., /
    ) -> Awaitable[JobState]:
        """Publish it, too; return the job's state."""


Orchestrate = Callable[["Run", PreparedJob, RecordingStep], Awaitable[object]]
"""Calls a recording's step, plainly or inside a run of Prefect's."""


async def without_prefect(run: Run, prepared: PreparedJob, transcribe: RecordingStep) -> None:
    """Transcribe a recording plainly."""
    await transcribe(run, prepared)


class InterruptedByUserError(CallError):
    """The user asked to stop."""

    kind = "interrupted"
    scope = "provider"


@dataclass(slots=True)
class Run:
    """What the jobs of one process share. Belongs to one event loop.

    Attributes:
        pool: the threads that segment recordings.
        orchestrate: calls the steps of recordings: plainly, or inside runs of Prefect's.
        second: gives the model of second opinions; None: there are none.
        interrupted: the user asked to stop: nothing more is begun.
        give_up: called by whoever finds that nobody listens any more.
        cut: the jobs under way whose recordings are being cut into segments, or have been.
    """

    context: AppContext
    caller: Caller
    concurrency: int
    pool: ThreadPoolExecutor
    orchestrate: Orchestrate
    second: Callable[[], SecondOpinion | None] = lambda: None
    interrupted: bool = False
    give_up: Callable[[], object] = lambda: None
    cut: set[str] = field(default_factory=set)
    _stops: list[Callable[[], object]] = field(default_factory=list)

    def interrupt(self) -> None:
        """Send nothing more and segment nothing more; calls in flight go on."""
        self.interrupted = True
        self.caller.stop(InterruptedByUserError("stopped before it was sent", "resume goes on"))
        for stop in self._stops:
            stop()

    def on_interrupt(self, stop: Callable[[], object]) -> None:
        """Have something called when the user asks to stop."""
        self._stops.append(stop)

    def check_interrupted(self, _bytes: int = 0) -> None:
        """Raise StoppedError where nobody waits for the work any more."""
        if self.interrupted:
            raise StoppedError("interrupted before it was begun")


@asynccontextmanager
async def open_run(
    context: AppContext, concurrency: int, orchestrate: Orchestrate, outer: Limit | None = None
) -> AsyncIterator[Run]:
    """Open a run: alive in the database, with the API's client, its limiter, and threads that segment.

    Args:
        context: of the process.
        concurrency: calls in flight at most.
        orchestrate: calls the steps of recordings.
        outer: what each call passes through beside this process's own limit.
    """
    with (
        context.leases.held(context.run_id),
        ThreadPoolExecutor(_SEGMENTERS_AT_ONCE, thread_name_prefix="segmenter") as pool,
    ):
        room = asyncio.Semaphore(concurrency)

        @asynccontextmanager
        async def within() -> AsyncIterator[None]:
            async with room, (outer or nullcontext)():
                yield

        async with AsyncExitStack() as stack, open_second_opinion(context.settings) as second:
            routes = Routes(context, stack, concurrency, within)
            # Whatever is wrong with the way there is said before anything is begun.
            usual = await routes.to(provider_name(context.settings), ModelKind.TRANSCRIPTION)
            caller = Caller(context, usual.api, usual.limiter, routes)
            yield Run(context, caller, concurrency, pool, orchestrate, second)


class Segments:
    """The segments of one recording, as its segmenter makes them. Iterate once, inside `open`."""

    def __init__(self, run: Run, prepared: PreparedJob) -> None:
        # With them comes numpy, which a job that is complete does not need.
        from stenoflow.tasks.jobs.transcribe.run import SegmentTranscriber  # noqa: PLC0415
        from stenoflow.tasks.jobs.transcribe.segment import RecordingSegmenter  # noqa: PLC0415

        self.name = prepared.recording.name
        self._run = run
        self._job_id = prepared.job.id
        self._segmenter = RecordingSegmenter(run.context, prepared, run.concurrency + _SPARE_SEGMENTS)
        self._transcriber = SegmentTranscriber.of(run.caller, prepared, run.second())
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[int | None] = asyncio.Queue()
        run.on_interrupt(self._segmenter.stop)
        self._ended = self._loop.run_in_executor(run.pool, self._segment)

    @classmethod
    @asynccontextmanager
    async def open(cls, run: Run, prepared: PreparedJob) -> AsyncIterator[Self]:
        """Begin to segment a recording; at the end, delete what is left of its sound."""
        segments = cls(run, prepared)
        try:
            yield segments
        finally:
            await segments._close()

    async def __aiter__(self) -> AsyncIterator[int]:
        """Yield the indices of segments to transcribe; raises what segmenting raised."""
        while (index := await self._ready.get()) is not None:
            yield index
        await self._ended

    async def transcribe(self, index: int) -> None:
        """Transcribe one segment; see `tasks.jobs.transcribe.run`."""
        try:
            await self._transcriber.transcribe(index, self._segmenter.path(index))
        finally:
            await run_blocking(self._segmenter.release, index)

    async def _close(self) -> None:
        self._segmenter.stop()
        await asyncio.wait([self._ended])
        if not self._ended.cancelled():
            self._ended.exception()
        await run_blocking(self._segmenter.close)

    def _segment(self) -> None:
        self._loop.call_soon_threadsafe(self._run.cut.add, self._job_id)
        try:
            self._segmenter.run(self._hand_over)
        finally:
            self._loop.call_soon_threadsafe(self._ready.put_nowait, None)

    def _hand_over(self, index: int) -> None:
        self._loop.call_soon_threadsafe(self._ready.put_nowait, index)


@asynccontextmanager
async def telling_voices(run: Run, prepared: PreparedJob) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Begin to tell the voices of a recording apart, where its job asks for that.

    Gives what waits for the end of it. Leaving the block before ends it.
    """
    if prepared.settings.speakers != Speakers.VOICES:
        yield _nothing
        return
    # With it comes numpy, which most jobs need elsewhere only.
    from stenoflow.tasks.jobs.transcribe.voices import RecordingVoices  # noqa: PLC0415

    voices = RecordingVoices(run.context, prepared)
    run.on_interrupt(voices.stop)
    # A thread of its own: it takes as long as the recording's transcription, and must not hold up others'.
    with ThreadPoolExecutor(1, thread_name_prefix="voices") as pool:
        ended = asyncio.get_running_loop().run_in_executor(pool, voices.run)
        try:
            yield lambda: asyncio.shield(ended)
        finally:
            voices.stop()
            await asyncio.wait([ended])


async def _nothing() -> None:
    """Wait for nothing."""
