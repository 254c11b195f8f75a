"""A text to speech, from the claim of its job to its artifacts, its file and its listener."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from stenoflow.flows.outcome import (
    FAILED,
    REFUSED,
    Outcome,
    SpeechDetails,
    describe_error,
    outcome_of_error,
    outcome_of_job,
)
from stenoflow.flows.run import Run
from stenoflow.flows.runner import Runner, Work
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job, Segment
from stenoflow.storage.errors import BudgetError, StenoflowError, StorageError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.output_file import write, write_sample
from stenoflow.tasks.jobs.speak.plan import text_of
from stenoflow.tasks.jobs.speak.publish import duration_of, publish, published
from stenoflow.tasks.jobs.speak.run import SpeechResult, speak_text
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.speak.streaming import LiveStream


@dataclass(slots=True)
class SpeakWork(Work):
    """A text to be spoken, whose job is open.

    Attributes:
        file: where the sound is written; None: it stays in the store.
        is_sample: the file replaces nothing but what is ours; else it goes under another name.
        out: the descriptor to which the sound is streamed as it comes; None: nobody listens.
    """

    job: Job
    file: Path | None = None
    out: int | None = None
    again: bool = True
    is_sample: bool = False
    name: str = field(init=False)
    _spoken: SpeechResult | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.unit = "piece spoken"
        self.name = f"job {self.job.id}"

    async def open(self, runner: Runner) -> Job:  # noqa: ARG002
        """Return the job."""
        return self.job

    def is_done(self, context: AppContext, job: Job) -> bool:
        """Tell whether it is spoken and its sound in place."""
        self._spoken = published(context, context.catalog.job(job.id))
        return self._spoken is not None

    async def work(self, run: Run, job: Job) -> None:
        """Speak the text and publish it; what is stored is not sent again."""
        context, stream = run.context, self._listen(run)
        try:
            text = await run_blocking(text_of, context, job)
            settings = SpeechSettings.from_dict(job.settings)
            live = None if stream is None else stream.listen
            self._spoken = await speak_text(run.caller, job.id, text, settings, live=live)
            await run_blocking(publish, context, self._spoken)
        except StenoflowError:
            if stream is not None:
                # What there is before the fault is heard.
                with suppress(StenoflowError):
                    await stream.ended()
            raise
        if stream is not None:
            await stream.ended()

    async def deliver(self, run: Run, job: Job, *, was_done: bool) -> None:
        """Play what was spoken before, and write the file."""
        if self._spoken is None and not await run_blocking(self.is_done, run.context, job):
            return
        assert self._spoken is not None  # noqa: S101 - `is_done` has set it
        if was_done and (stream := self._listen(run)) is not None:
            await stream.play(self._spoken.audio)
        key = self._spoken.audio.key
        if self.file is not None and self.is_sample:
            self.file = await run_blocking(write_sample, run.context, key, self.file, job.id)
        elif self.file is not None:
            await run_blocking(write, run.context, key, self.file)

    def state_after(self, context: AppContext, job: Job, error: StenoflowError) -> JobState:
        """Return partial where some of it is there: `resume` asks for the rest."""
        if any(each.state == SegmentState.DONE for each in context.catalog.segments(job.id)):
            return JobState.PARTIAL
        return JobState.REFUSED if isinstance(error, BudgetError) else JobState.FAILED

    def outcome(self, context: AppContext, job: Job | None, error: BaseException | None) -> Outcome:
        """Return how it ended."""
        return speech_outcome(context, None if job is None else job.id, self.file, error)

    def _listen(self, run: Run) -> LiveStream | None:
        if self.out is None:
            return None
        stream = LiveStream(run.context, self.out, run.concurrency, run.give_up)
        run.on_interrupt(stream.stop)
        return stream


def speech_outcome(
    context: AppContext, job_id: str | None, file: Path | None = None, error: BaseException | None = None
) -> Outcome:
    """Return the outcome of a text as it stands now, or of one that never had a job; blocks."""
    if job_id is None:
        return outcome_of_error(error or StenoflowError("nothing"), SpeechDetails())
    job = context.catalog.job(job_id)
    segments = context.catalog.segments(job_id)
    details = SpeechDetails(
        voice=job.settings["voice"],
        characters=_characters(context, job, segments),
        duration_ms=duration_of(job) if error is None else 0,
        file=None if file is None or error is not None else str(file),
    )
    outcome = outcome_of_job(context, job, details)
    if error is None:
        return replace(outcome, exit_code=0)
    code = error.exit_code if isinstance(error, StenoflowError) else StenoflowError.exit_code
    if code == REFUSED and (outcome.calls or any(each.state == SegmentState.DONE for each in segments)):
        # The budget ended midway: something was done.
        code = FAILED
    return replace(outcome, error=describe_error(error), exit_code=code)


def _characters(context: AppContext, job: Job, segments: Sequence[Segment]) -> int:
    """Return how long a text is; as far as it was cut, where the store that has it is away."""
    try:
        return len(text_of(context, job))
    except StorageError:
        return max((segment.end_sample for segment in segments), default=0)
