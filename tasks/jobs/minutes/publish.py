"""Publishing a digest: its minutes as Markdown and JSON, the manifest last; and in the transcript's page."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Artifact, Job, Segment
from stenoflow.tasks.artifacts.minutes import MinutesDocument, render_json, render_markdown
from stenoflow.tasks.artifacts.publisher import artifact_key, artifact_of, retract_manifest
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.manifest_of_chat import store_manifest
from stenoflow.tasks.jobs.minutes.plan import plan_of_minutes
from stenoflow.tasks.jobs.minutes.questions import MinutesAnswers, MinutesPlan
from stenoflow.tasks.jobs.minutes.run import spoken_before
from stenoflow.tasks.jobs.minutes.settings import MinutesSettings
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Transcript

_FORMATS = {
    "md": (render_markdown, "text/markdown; charset=utf-8"),
    "json": (render_json, "application/json"),
}
_log = logging.getLogger(__name__)


class UnfinishedError(FailedError):
    """Parts of the transcript are not in the minutes, or the parts are not summed up."""

    kind = "partial"


def publish_minutes(context: AppContext, job_id: str, spoken: Artifact | None = None) -> JobState:
    """Publish what a digest has, and say in its state whether that is all; calls nobody.

    Args:
        context: the tools.
        job_id: the digest.
        spoken: the sound of its minutes; None: it is put together from its stored pieces.

    Returns:
        Complete, partial or failed.

    Raises:
        StaleError: the transcript has changed since.
        ObjectStoreError, DiskFullError: the artifacts could not be stored; the manifest is not written.
    """
    job = context.catalog.job(job_id)
    work = plan_of_minutes(context, job)
    answers = MinutesAnswers.stored(context, work)
    segments = context.catalog.segments(job_id)
    failed = [segment for segment in segments if segment.state != SegmentState.DONE]
    why = next((segment for segment in failed if segment.error_message), None)
    if not answers.by_step:
        reason = FailedError(why.error_message if why and why.error_message else "no question was answered")
        context.catalog.set_state(job_id, JobState.FAILED, reason, why.error_kind if why else None)
        return JobState.FAILED
    document = shown(context, job, answers)
    retract_manifest(context, job)
    artifacts = list(_stored(context, job, document))
    spoken = spoken or spoken_before(context, job, work)
    artifacts += [spoken] if spoken else []
    store_manifest(context, job, artifacts, work.transcript.duration_ms)
    is_whole = answers.is_complete and (spoken is not None or work.settings.speech is None)
    state = JobState.COMPLETE if is_whole else JobState.PARTIAL
    lacking = None if is_whole else _lacking(answers, why)
    context.catalog.set_state(job_id, state, lacking, why.error_kind if why else None)
    return state


def _stored(context: AppContext, job: Job, document: MinutesDocument) -> Iterator[Artifact]:
    for ending, (render, content_type) in _FORMATS.items():
        name = f"digest.{ending}"
        data = render(document).encode()
        key = artifact_key(job, name)
        context.store.put_bytes(key, data, content_type=content_type)
        yield artifact_of(context, job, name, key, data)


def _lacking(answers: MinutesAnswers, why: Segment | None) -> UnfinishedError:
    what = "the minutes are not spoken" if answers.is_complete else "the minutes are not whole"
    reason = f": {why.error_message}" if why and why.error_message else ""
    return UnfinishedError(f"{what}{reason}", "stenoflow resume asks just for what is open")


_PAGE = "transcript.html"


def shown(context: AppContext, job: Job, answers: MinutesAnswers) -> MinutesDocument:
    """Make what is rendered of a digest."""
    settings = answers.work.settings
    return MinutesDocument(
        answers.minutes,
        context.catalog.recording(job.recording_id).name,
        job.id,
        settings.of,
        f"../{settings.of}/{_PAGE}",
        f"{settings.model} at {settings.provider}",
        answers.work.transcript.language,
        tuple(_remarks(context, answers)),
    )


def newest_minutes(context: AppContext, of: Job, transcript: Transcript) -> MinutesDocument | None:
    """Return the newest minutes of a job's transcript as it is now; None where there are none."""
    for job in context.catalog.digests(of.recording_id):
        settings = MinutesSettings.from_dict(job.settings)
        work = MinutesPlan(settings, transcript)
        if settings.of != of.id or not work.is_of_this_transcript:
            continue
        answers = MinutesAnswers.stored(context, work)
        if answers.by_step:
            return shown(context, job, answers)
    return None


def _remarks(context: AppContext, answers: MinutesAnswers) -> Iterator[str]:
    """Say what a reader of the minutes must know."""
    work = answers.work
    for stretch in work.transcript.missing:
        yield f"The transcript lacks {clock(stretch.start_ms)}-{clock(stretch.end_ms + 999)}."
    for step in answers.missing:
        first, last = work.lines[step.first], work.lines[step.end - 1]
        yield f"What was said from {clock(first.at_ms)} to {clock(last.at_ms)} is not in these minutes."
    if not answers.is_complete and not answers.missing:
        yield "These are the minutes of several parts, which are not summed up yet."
    if context.ledger.suspects(work.keys):
        yield "The model's answer was cut short, so something may be lacking."
