"""Publish minutes as Markdown and JSON, and as part of the page of their transcript."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Artifact, Segment
from stenoflow.tasks.artifacts.manifest import chat_details
from stenoflow.tasks.artifacts.minutes import MinutesDocument, render_json, render_markdown
from stenoflow.tasks.artifacts.minutes_template import render_by_template
from stenoflow.tasks.artifacts.publisher import ArtifactFile, publish_files
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.minutes.document import minutes_document
from stenoflow.tasks.jobs.minutes.plan import plan_of_minutes
from stenoflow.tasks.jobs.minutes.questions import MinutesAnswers
from stenoflow.tasks.jobs.minutes.run import spoken_before

_log = logging.getLogger(__name__)


class UnfinishedError(FailedError):
    """Parts of the transcript are not in the minutes, or the parts are not summed up."""

    kind = "partial"
    lies_in_recording = True


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
    document = minutes_document(context, job, answers)
    spoken = spoken or spoken_before(context, job, work)
    files: list[ArtifactFile | Artifact] = list(_files(document, work.settings.template))
    if spoken is not None:
        files.append(spoken)
    publish_files(context, job, files, chat_details(segments, work.transcript.duration_ms))
    is_whole = answers.is_complete and (spoken is not None or work.settings.speech is None)
    state = JobState.COMPLETE if is_whole else JobState.PARTIAL
    lacking = None if is_whole else _lacking(answers, why)
    context.catalog.set_state(job_id, state, lacking, why.error_kind if why else None)
    return state


def _files(document: MinutesDocument, template: str | None) -> Iterator[ArtifactFile]:
    text = render_markdown(document) if template is None else render_by_template(document, template)
    yield ArtifactFile("digest.md", text.encode(), "text/markdown; charset=utf-8")
    yield ArtifactFile("digest.json", render_json(document).encode(), "application/json")


def _lacking(answers: MinutesAnswers, why: Segment | None) -> UnfinishedError:
    what = "the minutes are not spoken" if answers.is_complete else "the minutes are not whole"
    reason = f": {why.error_message}" if why and why.error_message else ""
    return UnfinishedError(f"{what}{reason}", "stenoflow resume asks just for what is open")
