"""The round trip: a recording is heard, answered by a chat model, and the answer is spoken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from stenoflow.flows.reply_outcome import ReplyOutcome, ReplyStep, outcome_of, step_of
from stenoflow.flows.run import Run, open_run
from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, JobState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import BudgetError, StenoflowError, TakenError
from stenoflow.tasks.api.chat import ChatAnswer
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.calls.chat import ChatCall
from stenoflow.tasks.calls.live_stream import ListenerGoneError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.reply.plan import ReplyRequest, messages_of, open_reply
from stenoflow.tasks.jobs.reply.publish import TEXT, answer_of, publish_reply
from stenoflow.tasks.jobs.reply.settings import ReplySettings
from stenoflow.tasks.jobs.reply.voice import GrowingLiveStream, SpokenReply
from stenoflow.tasks.jobs.speak.script import is_speakable
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.transcribe.prepare import TranscribeRequest
from stenoflow.tasks.jobs.transcribe.publish import publish
from stenoflow.tasks.jobs.transcribe.segment import StoppedError
from stenoflow.tasks.sources import Source
from stenoflow.tasks.transcript.timecode import ms_to_samples

_LOOK_AGAIN_S = 1.0
_SETTLING_S = 2.0


class NotHeardError(FailedError):
    """What was said could not be transcribed, so there is nothing to answer."""

    kind = "not-heard"


@dataclass(frozen=True, slots=True)
class ReplyOrder:
    """What is to be answered, and how.

    Attributes:
        source: the recording.
        hearing: how it is transcribed.
        wish: how it is answered.
    """

    source: Source
    hearing: TranscribeRequest
    wish: ReplyRequest


@dataclass(slots=True)
class Replying:
    """Answers one recording; Ctrl-C stops it.

    Attributes:
        out: the descriptor that the sound is streamed to; None: it goes to the store only.
        told: given each step as it ends.
        stopping: told how many calls are waited for, and for how long, when the user asks to stop.
        interrupted: somebody called `stop`.
    """

    context: AppContext
    concurrency: int
    out: int | None
    told: Callable[[ReplyStep], object]
    stopping: Callable[[int, float], object]
    interrupted: bool = False
    _run: Run | None = None
    _stream: GrowingLiveStream | None = None
    _work: asyncio.Task[ReplyOutcome] | None = None

    async def run(self, order: ReplyOrder) -> ReplyOutcome:
        """Hear, answer and speak.

        Raises:
            BrokenPipeError: whoever listened is gone.
        """
        return await self._to_its_end(lambda run: self._reply(run, order))

    async def resume(self, job: Job) -> ReplyOutcome:
        """Go on with a reply that stopped."""
        return await self._to_its_end(lambda run: self._answer(run, job, []))

    async def _to_its_end(self, work: Callable[[Run], Coroutine[Any, Any, ReplyOutcome]]) -> ReplyOutcome:
        async with open_run(self.context, self.concurrency) as run:
            self._run = run
            if self.interrupted:
                run.interrupt()
            self._work = asyncio.create_task(work(run))
            return await self._work

    def stop(self) -> None:
        """Ask nothing more and keep the answers of calls in flight; a second time: drop those too."""
        if self.interrupted or self._run is None:
            self.interrupted = True
            self._cancel()
            return
        self.interrupted = True
        self._run.interrupt()
        if self._stream is not None:
            self._stream.stop()
        calls = self._run.caller.limiter.busy
        grace_s = self.context.settings.grace_s if calls else _SETTLING_S
        self.stopping(calls, grace_s)
        asyncio.get_running_loop().call_later(grace_s, self._cancel)

    def _cancel(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _reply(self, run: Run, order: ReplyOrder) -> ReplyOutcome:
        began = time.monotonic()
        try:
            of = await self._hear(run, order)
            steps = [
                await run_blocking(step_of, self.context, of.id, Activity.TRANSCRIPTION, _ms_since(began))
            ]
            self.told(steps[0])
            job = await run_blocking(open_reply, self.context, of, order.wish)
        except StenoflowError as error:
            return await run_blocking(outcome_of, self.context, None, [], error)
        return await self._answer(run, job, steps)

    async def _hear(self, run: Run, order: ReplyOrder) -> Job:
        """Transcribe the recording, here and at once: somebody waits for the answer."""
        taken = await run.prepare(order.source, order.hearing)
        job_id = taken.job.id
        if taken.stream is not None and await run.begin(taken, again=True, wait=lambda _: None):
            try:
                await self._hear_segments(run, job_id)
            except StenoflowError as error:
                state = JobState.INTERRUPTED if run.interrupted else JobState.FAILED
                await run_blocking(self.context.catalog.set_state, job_id, state, error)
                raise
            except asyncio.CancelledError:
                await run_blocking(self.context.catalog.set_state, job_id, JobState.INTERRUPTED)
                raise
            await run.end(job_id)
        job = await run_blocking(self.context.catalog.job, job_id)
        if job.state != JobState.COMPLETE:
            unheard = NotHeardError(
                f"{order.source.name} was not heard whole, so it is not answered: {job.error_message}",
                f"stenoflow resume {job_id} hears what is missing",
            )
            unheard.job_id = job_id
            raise unheard
        return job

    async def _hear_segments(self, run: Run, job_id: str) -> None:
        asked = [asyncio.create_task(run.transcribe(job_id, index)) async for index in run.feeds[job_id]]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            # What could not be heard stands in its segment.
            if isinstance(outcome, BaseException) and not isinstance(outcome, StenoflowError):
                raise outcome
        if run.interrupted:
            raise StoppedError("interrupted before it was heard whole", f"stenoflow resume {job_id} goes on")
        await run_blocking(publish, self.context, job_id)

    async def _answer(self, run: Run, job: Job, steps: list[ReplyStep]) -> ReplyOutcome:
        context = self.context
        try:
            steps += await self._work_on(run, job)
        except StenoflowError as error:
            gone = isinstance(error, ListenerGoneError)
            await run_blocking(_set_broken, context, job.id, error, interrupted=run.interrupted or gone)
            if gone and not self.interrupted:
                raise BrokenPipeError from error
            return await run_blocking(outcome_of, context, job.id, steps, error)
        except BaseException as error:
            # Cancelled, or nobody listens any more.
            with suppress(TakenError):
                await run_blocking(context.catalog.set_state, job.id, JobState.INTERRUPTED)
            if isinstance(error, asyncio.CancelledError) and self.interrupted:
                return await run_blocking(outcome_of, context, job.id, steps, StoppedError("interrupted"))
            raise
        return await run_blocking(outcome_of, context, job.id, steps)

    async def _work_on(self, run: Run, job: Job) -> list[ReplyStep]:
        context = self.context
        if self.out is None and await run_blocking(_is_done, context, job):
            return []
        began = time.monotonic()
        await _claim(run, job)
        settings = ReplySettings.from_dict(job.settings)
        voice = self._voice(run, job, SpeechSettings.from_dict(settings.speech))
        first: list[float] = []

        def take(piece: str) -> None:
            if not first:
                first.append(time.monotonic())
            voice.take(piece)

        messages = await run_blocking(messages_of, context, job)
        question = ChatCall(
            context=context,
            job_id=job.id,
            index=0,
            cache_key=settings.cache_key,
            target=Target(settings.provider, settings.model),
            request=settings.request(messages),
            is_usable=_is_usable,
            told=take,
            begin=voice.begin,
        )
        try:
            await run.caller.obtain(question)
            text = await run_blocking(answer_of, context, job) or ""
            chat = await run_blocking(
                step_of, context, job.id, Activity.CHAT, _ms_since(began), _ms(began, first)
            )
            self.told(chat)
            spoke = time.monotonic()
            audio = await voice.end(text)
            if self._stream is not None:
                await self._stream.ended()
        finally:
            await voice.settled()
            if self._stream is not None:
                self._stream.stop()
        heard = [] if self._stream is None or self._stream.first_at is None else [self._stream.first_at]
        spoken = await run_blocking(
            step_of, context, job.id, Activity.SPEECH, _ms_since(spoke), _ms(began, heard)
        )
        self.told(spoken)
        await run_blocking(publish_reply, context, job.id, audio)
        return [chat, spoken]

    def _voice(self, run: Run, job: Job, settings: SpeechSettings) -> SpokenReply:
        if self.out is not None:
            self._stream = GrowingLiveStream(self.context, self.out, settings, self._give_up)
            self._stream.begin()
        return SpokenReply(run.caller, job, settings, self._stream)

    def _give_up(self) -> None:
        """Nobody listens any more: see calls in flight through, and send no others."""
        if self._run is not None:
            self._run.caller.limiter.stop(ListenerGoneError("nobody listens any more", "run it again"))


async def _claim(run: Run, job: Job) -> None:
    """Take a reply to work on, once no other run that is alive has it, and store its question."""
    catalog = run.context.catalog
    while True:
        try:
            await run_blocking(catalog.claim, job.id, again=True)
            break
        except TakenError:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if run.interrupted:
                raise StoppedError("interrupted before it was begun") from None
    broken = StenoflowError("the run that made this call was broken off")
    await run_blocking(run.context.ledger.recover, job.id, broken)
    await run_blocking(catalog.retry_parked, job.id)
    await run_blocking(_store_question, run.context, job)


def _store_question(context: AppContext, job: Job) -> None:
    settings = ReplySettings.from_dict(job.settings)
    duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
    samples = ms_to_samples(duration_ms)
    cut = SegmentPlan(0, 0, samples, forced=False, speech=(), activity=Activity.CHAT)
    context.catalog.add_segment(job.id, cut, settings.cache_key)
    context.catalog.finish_plan(job.id, samples, 0)


def _is_usable(answer: ChatAnswer) -> bool:
    return not answer.refusal and is_speakable(answer.text)


def _is_done(context: AppContext, job: Job) -> bool:
    if context.catalog.job(job.id).state != JobState.COMPLETE:
        return False
    artifacts = context.catalog.artifacts(job.id)
    named = any(artifact.name == TEXT for artifact in artifacts)
    return named and all(context.store.exists(artifact.key) for artifact in artifacts)


def _set_broken(context: AppContext, job_id: str, error: StenoflowError, *, interrupted: bool) -> None:
    """Say in a job how far it came."""
    error.job_id = job_id
    state: JobState
    reason: StenoflowError | None
    if interrupted:
        state, reason = JobState.INTERRUPTED, None
    elif isinstance(error, BudgetError) and answer_of(context, context.catalog.job(job_id)) is None:
        state, reason = JobState.REFUSED, error
    else:
        state, reason = JobState.FAILED, error
    # A run that took it meanwhile knows better.
    with suppress(TakenError):
        context.catalog.set_state(job_id, state, reason)


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _ms(began: float, moments: list[float]) -> int | None:
    return round((moments[0] - began) * 1000) if moments else None
