"""Speaking texts as jobs of their own: claimed, spoken, listened to, published; and stopped by the user."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

from flows.running import InterruptedByUserError
from storage.database.states import JobState, SegmentState
from storage.database.tables import Job
from storage.errors import BudgetError, StenoflowError, TakenError
from tasks.audio_api.gate import Gate
from tasks.hearing import open_api
from tasks.settling import settle
from tasks.speaking.job import text_of
from tasks.speaking.live import ListenerGoneError
from tasks.speaking.publishing import publish, published
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.speaker import Speaker
from tasks.speaking.speaking import Spoken, speak_text
from tasks.speaking.streaming import Streaming
from tasks.workshop import Workshop

# How often to look whether another run has come to its end.
_LOOK_AGAIN_S = 1.0
_STOPPED = (InterruptedByUserError, ListenerGoneError)


@asynccontextmanager
async def open_speaker(
    workshop: Workshop, concurrency: int, outer: Callable[[], AbstractAsyncContextManager[None]] | None = None
) -> AsyncIterator[Speaker]:
    """Open what speaks: a run that is alive in the database, the client of the API and its gate.

    Who has a run open already makes its own: ``Speaker(workshop, api, gate)``. ``outer``: what each call
    passes through beside this process's own limit.
    """
    with workshop.leases.held(workshop.run_id):
        async with open_api(workshop.settings, workshop.models) as api:
            yield Speaker(workshop, api, Gate(concurrency, outer=outer))


async def speak_job(
    speaker: Speaker,
    job: Job,
    *,
    stream: Streaming | None = None,
    wait: Callable[[str], None] = lambda _: None,
) -> Spoken:
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
    workshop = speaker.workshop
    found = await settle(published, workshop, job)
    if found is not None:
        if stream is not None:
            await stream.play(found.audio)
        return found
    await _claim(workshop, job.id, wait)
    try:
        text = await settle(text_of, workshop, job)
        settings = SpeechSettings.from_dict(job.settings)
        spoken = await speak_text(
            speaker, job.id, text, settings, live=None if stream is None else stream.listen
        )
        await settle(publish, workshop, spoken)
    except BaseException as error:
        await settle(_set_broken, workshop, job.id, error)
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

    workshop: Workshop
    concurrency: int
    say: Callable[[str], None]
    outer: Callable[[], AbstractAsyncContextManager[None]] | None = None
    interrupted: bool = False
    _speaker: Speaker | None = None
    _streams: list[Streaming] = field(default_factory=list)
    _at_work: set[asyncio.Task[Spoken]] = field(default_factory=set)
    _is_unheard: bool = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open the run; to be called in the main thread."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.stop)
        try:
            async with open_speaker(self.workshop, self.concurrency, self.outer) as self._speaker:
                yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def speak(self, job: Job, out: int | None = None) -> Spoken:
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
            stream = Streaming(self.workshop, out, self.concurrency, self._give_up)
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
        calls = 0 if self._speaker is None else self._speaker.gate.busy
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
            self._speaker.gate.stop(error)
        grace_s = self.workshop.settings.grace_s
        asyncio.get_running_loop().call_later(grace_s, self._cancel)

    def _cancel(self) -> None:
        for task in self._at_work:
            task.cancel()


async def _claim(workshop: Workshop, job_id: str, wait: Callable[[str], None]) -> None:
    """Take a job, once no other run that is alive is at work on it."""
    told = False
    while True:
        try:
            await settle(workshop.catalog.claim, job_id, again=True)
            break
        except TakenError:
            if not told:
                wait("another run is at work on the same; waiting for its end")
            told = True
            await asyncio.sleep(_LOOK_AGAIN_S)
    broken = StenoflowError("the run that made this call was broken off")
    await settle(workshop.ledger.recover, job_id, broken)
    await settle(workshop.catalog.retry_parked, job_id)


def _set_broken(workshop: Workshop, job_id: str, error: BaseException) -> None:
    """Say in a job how far it came: where some of it is there, `resume` asks for the rest."""
    # A run that took it meanwhile knows better.
    with suppress(TakenError):
        if not isinstance(error, StenoflowError) or isinstance(error, _STOPPED):
            workshop.catalog.set_state(job_id, JobState.INTERRUPTED)
            return
        done = any(each.state == SegmentState.DONE for each in workshop.catalog.segments(job_id))
        nothing = JobState.REFUSED if isinstance(error, BudgetError) else JobState.FAILED
        workshop.catalog.set_state(job_id, JobState.PARTIAL if done else nothing, error)


def _interrupted(job: Job) -> InterruptedByUserError:
    error = InterruptedByUserError("interrupted", f"stenoflow resume {job.id} goes on")
    error.job_id = job.id
    return error
