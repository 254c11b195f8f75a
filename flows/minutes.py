"""Minutes of a transcript, from the opening of their job to their artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stenoflow.flows.outcome import (
    MinutesDetails,
    Outcome,
    describe_job_error,
    outcome_of_error,
    outcome_of_job,
)
from stenoflow.flows.run import Run
from stenoflow.flows.runner import Runner, Work
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import PUBLISHED, JobState
from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.plan import MinutesRequest, open_minutes, plan_of_minutes
from stenoflow.tasks.jobs.minutes.publish import publish_minutes
from stenoflow.tasks.jobs.minutes.questions import MinutesPlan
from stenoflow.tasks.jobs.minutes.run import answer_all, speak_minutes, store_steps
from stenoflow.tasks.jobs.transcribe.publish import republish_page


@dataclass(slots=True)
class MinutesWork(Work):
    """Minutes to be made of a transcription.

    Attributes:
        of: the transcription's job.
        request: what is asked; None: the job was opened before.
        formats: endings of the artifacts that the outcome names; None: all.
    """

    of: str
    request: MinutesRequest | None = None
    job: Job | None = None
    formats: Sequence[str] | None = None
    again: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.unit = "question answered"
        self.name = f"minutes of job {self.of}"

    async def open(self, runner: Runner) -> Job:
        """Open their job, or find the one that made them."""
        if self.job is None:
            transcription = await run_blocking(runner.context.catalog.job, self.of)
            request = self.request or MinutesRequest()
            self.job = await run_blocking(open_minutes, runner.context, transcription, request)
        return self.job

    def is_done(self, context: AppContext, job: Job) -> bool:
        """Tell whether they are complete and their artifacts in place."""
        return context.catalog.job(job.id).state == JobState.COMPLETE and context.has_artifacts(job.id)

    async def work(self, run: Run, job: Job) -> None:
        """Ask the questions, have the minutes read aloud where that is asked for, and publish both."""
        context = run.context
        plan = await run_blocking(plan_of_minutes, context, job)
        await run_blocking(store_steps, context, job, plan)
        await answer_all(run.caller, job, plan)
        spoken = await _speak(run.caller, job, plan)
        if run.interrupted:
            await run_blocking(context.catalog.set_state, job.id, JobState.INTERRUPTED)
            return
        state = await run_blocking(publish_minutes, context, job.id, spoken)
        if state is not JobState.FAILED:
            await run_blocking(republish_page, context, plan.settings.of)

    def outcome(self, context: AppContext, job: Job | None, error: BaseException | None) -> Outcome:
        """Return what their job says of itself, or the error where they have none or it never began."""
        details = MinutesDetails(self.of)
        if job is None:
            return outcome_of_error(error or StenoflowError("nothing"), details)
        now = context.catalog.job(job.id)
        if error is not None and now.state in {JobState.NEW, JobState.RUNNING, JobState.COMPLETE}:
            return outcome_of_error(error, details, job=job.id)
        artifacts = _artifacts(context, now) if now.state in PUBLISHED else {}
        if self.formats is not None:
            artifacts = {name: artifacts[name] for name in self.formats if name in artifacts}
        return replace(
            outcome_of_job(context, now, details), artifacts=artifacts, error=describe_job_error(now)
        )


async def _speak(caller: Caller, job: Job, plan: MinutesPlan) -> Artifact | None:
    """Have the minutes spoken, if that is asked for; None where that failed, which stands in its segment."""
    try:
        spoken = await speak_minutes(caller, job, plan)
    except StenoflowError:
        return None
    return None if spoken is None else await run_blocking(spoken.artifact, caller.context)


def _artifacts(context: AppContext, job: Job) -> dict[str, str]:
    """Return the addresses of the minutes by ending, with that of the page that shows them."""
    ours = {each.name: each.uri for each in context.catalog.artifacts(job.id)}
    theirs = {each.name: each.uri for each in context.catalog.artifacts(job.settings["of"])}
    page = theirs.get("transcript.html")
    found = {name.removeprefix("digest."): uri for name, uri in ours.items() if name.startswith("digest.")}
    return found | ({"html": page} if page else {})
