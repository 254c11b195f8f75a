"""Speaking texts as jobs of their own: claimed, spoken, listened to, published; and stopped by the user."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

from stenoflow.flows.run import InterruptedByUserError
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import BudgetError, StenoflowError, TakenError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.calls.live_stream import ListenerGoneError
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.provider import open_api
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.plan import text_of
from stenoflow.tasks.jobs.speak.publish import publish, published
from stenoflow.tasks.jobs.speak.run import SpeechResult, speak_text
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.speak.streaming import LiveStream

# How often to look whether another run has come to its end.
_LOOK_AGAIN_S = 1.0
_STOPPED = (InterruptedByUserError, ListenerGoneError)


@asynccontextmanager
async def open_speaker(
    context: AppContext,
    concurrency: int,
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> AsyncIterator[Caller]:
    """Open what speaks: a run that is alive in the database, the client of the API and its limiter.

    ``outer``: what each call
    passes through beside this process's own limit.
    """
    with context.leases.held(context.run_id):
        async with open_api(context.settings, context.models) as api:
            yield Caller(context, api, Limiter(concurrency, outer=outer))


async def speak_job(
    speaker: Caller,
    job: Job,
    *,
    stream: LiveStream | None = None,
    wait: Callable[[str], None] = lambda _: None,
) -> SpeechResult:
    """Speak the text of a job of kind ``speak``, and publish it; what is stored is not sent again.

    Args:
        speaker: from `open_speaker`.
        job: from `open_speech_job`.
        stream: who listens; None: nobody does.
        wait: told what is waited for.

    Raises:
        StenoflowError: it is not spoken whole; the job says so, and what there is of it is kept.
        BrokenPipeError: who listened is gone; the same.
    """
    context = speaker.context
    found = await run_blocking(published, context, job)
    if found is not None:
        if stream is not None:
            await stream.play(found.audio)
        return found
    await _claim(context, job.id, wait)
    try:
        text = await run_blocking(text_of, context, job)
        settings = SpeechSettings.from_dict(job.settings)
        spoken = await speak_text(
            speaker, job.id, text, settings, live=None if stream is None else stream.listen
        )
        await run_blocking(publish, context, spoken)
    except BaseException as error:
        await run_blocking(_set_broken, context, job.id, error)
        if isinstance(error, StenoflowError):
            error.job_id = job.id
        if stream is not None and isinstance(error, StenoflowError):
            # What there is before the fault is heard. A listener who has gone is told of before all else.
            with suppress(StenoflowError):
                await stream.ended()
        raise
    if stream is not None:
        await stream.ended()
    return spoken


@dataclass(slots=True)
class Speaking:
    """Speaks jobs in one run, until Ctrl-C: then calls in flight are seen through for a while.

    Attributes:
        say: told what people are to know meanwhile.
        outer: what each call passes through beside this process's own limit.
        interrupted: the user asked to stop.
    """

    context: AppContext
    concurrency: int
    say: Callable[[str], None]
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None
    interrupted: bool = False
    _speaker: Caller | None = None
    _streams: list[LiveStream] = field(default_factory=list)
    _at_work: set[asyncio.Task[SpeechResult]] = field(default_factory=set)
    _is_unheard: bool = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open the run; to be called in the main thread."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.stop)
        try:
            async with open_speaker(self.context, self.concurrency, self.outer) as self._speaker:
                yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def speak(self, job: Job, out: int | None = None) -> SpeechResult:
        """Speak one job; see `speak_job`.

        Args:
            job: from `open_speech_job`.
            out: the descriptor to stream to; None: nobody listens.

        Raises:
            InterruptedByUserError: the user asked to stop.
        """
        if self._speaker is None:
            raise StenoflowError("the run is not open")
        stream = None
        if out is not None:
            stream = LiveStream(self.context, out, self.concurrency, self._give_up)
            self._streams.append(stream)
        task = asyncio.create_task(speak_job(self._speaker, job, stream=stream, wait=self.say))
        self._at_work.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self._is_unheard and not self.interrupted:
                raise BrokenPipeError from None
            raise _interrupted(job) from None
        except _STOPPED as error:
            raise (_interrupted(job) if self.interrupted else error) from None
        finally:
            self._at_work.discard(task)

    def stop(self) -> None:
        """Send nothing more and keep the replies of calls in flight; a second time: drop those too."""
        if self.interrupted:
            self._cancel()
            return
        self.interrupted = True
        calls = 0 if self._speaker is None else self._speaker.limiter.busy
        if calls:
            self.say(
                f"Stopping: waiting for {calls} calls that are paid for already. Ctrl-C again stops now."
            )
        self._end(InterruptedByUserError("stopped before it was sent", "resume goes on"))
        for stream in self._streams:
            stream.stop()

    def _give_up(self) -> None:
        """Nobody listens any more: see calls in flight through, and send no others."""
        self._is_unheard = True
        self._end(ListenerGoneError("nobody listens any more", "resume asks for the rest"))

    def _end(self, error: InterruptedByUserError | ListenerGoneError) -> None:
        if self._speaker is not None:
            self._speaker.limiter.stop(error)
        grace_s = self.context.settings.grace_s
        asyncio.get_running_loop().call_later(grace_s, self._cancel)

    def _cancel(self) -> None:
        for task in self._at_work:
            task.cancel()


async def _claim(context: AppContext, job_id: str, wait: Callable[[str], None]) -> None:
    """Take a job, once no other run that is alive is at work on it."""
    told = False
    while True:
        try:
            await run_blocking(context.catalog.claim, job_id, again=True)
            break
        except TakenError:
            if not told:
                wait("another run is at work on the same; waiting for its end")
            told = True
            await asyncio.sleep(_LOOK_AGAIN_S)
    broken = StenoflowError("the run that made this call was broken off")
    await run_blocking(context.ledger.recover, job_id, broken)
    await run_blocking(context.catalog.retry_parked, job_id)


def _set_broken(context: AppContext, job_id: str, error: BaseException) -> None:
    """Say in a job how far it came: where some of it is there, `resume` asks for the rest."""
    # A run that took it meanwhile knows better.
    with suppress(TakenError):
        if not isinstance(error, StenoflowError) or isinstance(error, _STOPPED):
            context.catalog.set_state(job_id, JobState.INTERRUPTED)
            return
        done = any(each.state == SegmentState.DONE for each in context.catalog.segments(job_id))
        nothing = JobState.REFUSED if isinstance(error, BudgetError) else JobState.FAILED
        context.catalog.set_state(job_id, JobState.PARTIAL if done else nothing, error)


def _interrupted(job: Job) -> InterruptedByUserError:
    error = InterruptedByUserError("interrupted", f"stenoflow resume {job.id} goes on")
    error.job_id = job.id
    return error
