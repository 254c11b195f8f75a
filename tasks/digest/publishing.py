"""Publishing a digest: its minutes as Markdown and JSON, the manifest last; and in the transcript's page."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from storage.database.states import JobState, SegmentState
from storage.database.tables import Artifact, Job, Segment
from storage.errors import TakenError
from tasks.chat.manifest import store_manifest
from tasks.digest.opening import work_of
from tasks.digest.shown import shown
from tasks.digest.voice import spoken_before
from tasks.digest.work import Answers
from tasks.errors import FailedError
from tasks.minutes.writing import MinutesDocument, render_json, render_markdown
from tasks.publishing import artifact_key, artifact_of, publish, retract_manifest
from tasks.workshop import Workshop

_FORMATS = {
    "md": (render_markdown, "text/markdown; charset=utf-8"),
    "json": (render_json, "application/json"),
}
_log = logging.getLogger(__name__)


class UnfinishedError(FailedError):
    """Parts of the transcript are not in the minutes, or the parts are not summed up."""

    kind = "partial"


def publish_digest(workshop: Workshop, job_id: str, spoken: Artifact | None = None) -> JobState:
    """Publish what a digest has, and say in its state whether that is all; calls nobody.

    Args:
        workshop: the tools.
        job_id: the digest.
        spoken: the sound of its minutes; None: it is put together from its stored pieces.

    Returns:
        Complete, partial or failed.

    Raises:
        StaleError: the transcript has changed since.
        ObjectStoreError, DiskFullError: the artifacts could not be stored; the manifest is not written.
    """
    job = workshop.catalog.job(job_id)
    work = work_of(workshop, job)
    answers = Answers.stored(workshop, work)
    segments = workshop.catalog.segments(job_id)
    failed = [segment for segment in segments if segment.state != SegmentState.DONE]
    why = next((segment for segment in failed if segment.error_message), None)
    if not answers.by_step:
        reason = FailedError(why.error_message if why and why.error_message else "no question was answered")
        workshop.catalog.set_state(job_id, JobState.FAILED, reason, why.error_kind if why else None)
        return JobState.FAILED
    document = shown(workshop, job, answers)
    retract_manifest(workshop, job)
    artifacts = list(_stored(workshop, job, document))
    spoken = spoken or spoken_before(workshop, job, work)
    artifacts += [spoken] if spoken else []
    store_manifest(workshop, job, artifacts, work.transcript.duration_ms)
    is_whole = answers.is_complete and (spoken is not None or work.settings.speech is None)
    state = JobState.COMPLETE if is_whole else JobState.PARTIAL
    lacking = None if is_whole else _lacking(answers, why)
    workshop.catalog.set_state(job_id, state, lacking, why.error_kind if why else None)
    _show_in_page(workshop, work.settings.of)
    return state


def _stored(workshop: Workshop, job: Job, document: MinutesDocument) -> Iterator[Artifact]:
    for ending, (render, content_type) in _FORMATS.items():
        name = f"digest.{ending}"
        data = render(document).encode()
        key = artifact_key(job, name)
        workshop.store.put_bytes(key, data, content_type=content_type)
        yield artifact_of(workshop, job, name, key, data)


def _lacking(answers: Answers, why: Segment | None) -> UnfinishedError:
    what = "the minutes are not spoken" if answers.is_complete else "the minutes are not whole"
    reason = f": {why.error_message}" if why and why.error_message else ""
    return UnfinishedError(f"{what}{reason}", "stenoflow resume asks just for what is open")


def _show_in_page(workshop: Workshop, of: str) -> None:
    """Publish the transcript anew, whose page shows the newest minutes of it."""
    segments = workshop.catalog.segments(of)
    done = {each.work_key for each in segments if each.state == SegmentState.DONE}
    if done - workshop.ledger.answered(done):
        # Less would come of it than there is.
        _log.warning("answers of job %s are gone; its page is left as it is", of)
        return
    try:
        publish(workshop, of)
    except TakenError:
        _log.warning("another run is at work on job %s, and will publish its page", of)
