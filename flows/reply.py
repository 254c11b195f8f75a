"""The round trip: a recording is transcribed, answered by a chat model, and the answer is spoken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from stenoflow.flows.outcome import (
    Outcome,
    ReplyDetails,
    ReplyStep,
    describe_error,
    outcome_of_error,
    outcome_of_job,
)
from stenoflow.flows.run import Run
from stenoflow.flows.runner import Runner, Work
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, ChargeKind, JobState, SegmentState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import BudgetError, StenoflowError
from stenoflow.tasks.api.chat import ChatAnswer
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.calls.chat import ChatCall
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.reply.plan import ReplyRequest, messages_of, open_reply, said_in
from stenoflow.tasks.jobs.reply.publish import TEXT, answer_of, publish_reply
from stenoflow.tasks.jobs.reply.settings import ReplySettings
from stenoflow.tasks.jobs.reply.voice import GrowingLiveStream, SpokenReply
from stenoflow.tasks.jobs.speak.output_file import write
from stenoflow.tasks.jobs.speak.script import is_speakable
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest
from stenoflow.tasks.sources import Source
from stenoflow.tasks.transcript.timecode import ms_to_samples


class NotTranscribedError(FailedError):
    """What was said could not be transcribed whole, so there is nothing to answer."""

    kind = "not-heard"


@dataclass(slots=True)
class ReplyWork(Work):
    """A recording to be answered.

    Attributes:
        source: the recording, and how it is transcribed; None: ``job`` was opened before.
        request: how it is answered.
        out: the descriptor that the sound is streamed to; None: it goes to the store.
        file: where the sound is written.
        tell: given each step as it ends.
    """

    tell: Callable[[ReplyStep], object]
    source: tuple[Source, TranscribeRequest] | None = None
    request: ReplyRequest = field(default_factory=ReplyRequest)
    job: Job | None = None
    out: int | None = None
    file: Path | None = None
    again: bool = True
    name: str = field(init=False)
    _steps: list[ReplyStep] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.name = "reply" if self.source is None else self.source[0].name

    async def open(self, runner: Runner) -> Job:
        """Transcribe what is said, and open the job that answers it."""
        if self.source is None:
            if self.job is None:
                raise RuntimeError("a reply needs a recording or a job")
            return self.job
        began = time.monotonic()
        of = await self._transcribe(runner, *self.source)
        step = await run_blocking(_step, runner.context, of.id, Activity.TRANSCRIPTION, _ms_since(began))
        self._end_step(step)
        return await run_blocking(open_reply, runner.context, of, self.request)

    @property
    def has_listener(self) -> bool:  # type: ignore[override]
        """Whether somebody listens."""
        return self.out is not None

    def is_done(self, context: AppContext, job: Job) -> bool:
        """Tell whether it was answered before; a listener is given the answer anew."""
        if self.out is not None or context.catalog.job(job.id).state != JobState.COMPLETE:
            return False
        return context.has_artifacts(job.id, TEXT)

    async def work(self, run: Run, job: Job) -> None:
        """Ask the question, speak the answer while it is written, and publish both."""
        context, began = run.context, time.monotonic()
        await run_blocking(_store_question, context, job)
        settings = ReplySettings.from_dict(job.settings)
        stream = self._listen(run, SpeechSettings.from_dict(settings.speech))
        voice = SpokenReply(run.caller, job, SpeechSettings.from_dict(settings.speech), stream)
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
            on_text=take,
            begin=voice.begin,
        )
        try:
            await run.caller.obtain(question)
            text = await run_blocking(answer_of, context, job) or ""
            took_ms, first_ms = _ms_since(began), _ms(began, first)
            self._end_step(await run_blocking(_step, context, job.id, Activity.CHAT, took_ms, first_ms))
            spoke = time.monotonic()
            audio = await voice.end(text)
            if stream is not None:
                await stream.ended()
        finally:
            await voice.settled()
            if stream is not None:
                stream.stop()
        first_sound = [] if stream is None or stream.first_at is None else [stream.first_at]
        took_ms, first_ms = _ms_since(spoke), _ms(began, first_sound)
        self._end_step(await run_blocking(_step, context, job.id, Activity.SPEECH, took_ms, first_ms))
        await run_blocking(publish_reply, context, job.id, audio)

    async def deliver(self, run: Run, job: Job, *, was_done: bool) -> None:  # noqa: ARG002
        """Write the sound to the file."""
        if self.file is None:
            return
        form = SpeechSettings.from_dict(ReplySettings.from_dict(job.settings).speech).format
        artifacts = await run_blocking(run.context.catalog.artifacts, job.id)
        keys = {artifact.name: artifact.key for artifact in artifacts}
        await run_blocking(write, run.context, keys[f"reply.{form}"], self.file)

    def state_after(self, context: AppContext, job: Job, error: StenoflowError) -> JobState:
        """Return refused where the budget had no room for the question, else failed."""
        is_refused = isinstance(error, BudgetError) and answer_of(context, job) is None
        return JobState.REFUSED if is_refused else JobState.FAILED

    def outcome(self, context: AppContext, job: Job | None, error: BaseException | None) -> Outcome:
        """Return how it ended, step by step."""
        if job is None:
            return outcome_of_error(error or StenoflowError("nothing"), ReplyDetails())
        now = context.catalog.job(job.id)
        is_whole = now.state == JobState.COMPLETE
        of = context.catalog.job(now.settings["of"])
        details = ReplyDetails(
            of=of.id,
            heard=said_in(context, of),
            text=answer_of(context, now) or "",
            steps=tuple(self._steps),
            file=None if self.file is None or error is not None else str(self.file),
        )
        artifacts = {each.name: each.uri for each in context.catalog.artifacts(job.id)}
        known = [step.cost_micro for step in self._steps if step.cost_micro is not None]
        code = 0
        if error is not None:
            code = error.exit_code if isinstance(error, StenoflowError) else StenoflowError.exit_code
        return replace(
            outcome_of_job(context, now, details),
            calls=sum(step.calls for step in self._steps),
            cost_micro=sum(known) if len(known) == len(self._steps) else None,
            artifacts={
                name.removeprefix("reply."): uri
                for name, uri in artifacts.items()
                if is_whole and name.startswith("reply.")
            },
            error=None if error is None else describe_error(error),
            exit_code=code,
        )

    async def _transcribe(self, runner: Runner, source: Source, request: TranscribeRequest) -> Job:
        """Transcribe the recording here and at once: somebody waits for the answer."""
        work = TranscribeWork(source, request, (), again=True)
        outcome = await runner.run_quietly(work)
        runner.active.check_interrupted()
        if outcome.job is None or work.error is not None:
            raise work.error or StenoflowError(f"{source.name} could not be transcribed")
        job = await run_blocking(runner.context.catalog.job, outcome.job)
        if job.state != JobState.COMPLETE:
            error = NotTranscribedError(
                f"{source.name} was not transcribed whole, so it is not answered: {job.error_message}",
                f"stenoflow resume {job.id} transcribes what is missing",
            )
            error.job_id = job.id
            raise error
        return job

    def _listen(self, run: Run, settings: SpeechSettings) -> GrowingLiveStream | None:
        if self.out is None:
            return None
        stream = GrowingLiveStream(run.context, self.out, settings, run.give_up)
        run.on_interrupt(stream.stop)
        stream.begin()
        return stream

    def _end_step(self, step: ReplyStep) -> None:
        self._steps.append(step)
        self.tell(step)


def _store_question(context: AppContext, job: Job) -> None:
    settings = ReplySettings.from_dict(job.settings)
    duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
    samples = ms_to_samples(duration_ms)
    plan = SegmentPlan(0, 0, samples, forced=False, speech=(), activity=Activity.CHAT)
    context.catalog.add_segment(job.id, plan, settings.cache_key)
    context.catalog.finish_plan(job.id, samples, 0)


def _step(
    context: AppContext, job_id: str, activity: Activity, ms: int, first_ms: int | None = None
) -> ReplyStep:
    """Return what one step took in this run; blocks."""
    job = context.catalog.job(job_id)
    mine = [
        each
        for each in context.reports.attempts(job_id)
        if each.activity == activity and each.run_id == context.run_id
    ]
    ids = {each.id for each in mine}
    actual = [
        charge.amount_micro
        for charge in context.reports.charges(job_id)
        if charge.kind == ChargeKind.ACTUAL and charge.attempt_id in ids
    ]
    known = [amount for amount in actual if amount is not None]
    done = [
        each
        for each in context.catalog.segments(job_id)
        if each.activity == activity and each.state == SegmentState.DONE
    ]
    answered = {each.segment_index for each in mine}
    asked = job.settings["speech"] if activity is Activity.SPEECH else job.settings
    return ReplyStep(
        activity,
        f"{asked['model']} at {asked['provider']}",
        ms,
        first_ms,
        len(mine),
        sum(each.index not in answered for each in done),
        sum(known) if len(known) == len(actual) else None,
    )


def _is_usable(answer: ChatAnswer) -> bool:
    return not answer.refusal and is_speakable(answer.text)


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _ms(began: float, moments: list[float]) -> int | None:
    return round((moments[0] - began) * 1000) if moments else None
