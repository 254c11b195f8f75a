"""Build the document of a meeting's minutes, for its files and for the page of the transcript."""

from __future__ import annotations

from collections.abc import Iterator

from stenoflow.storage.database.tables import Job
from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.questions import MinutesAnswers, MinutesPlan
from stenoflow.tasks.jobs.minutes.settings import MinutesSettings
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Transcript

_PAGE = "transcript.html"


def minutes_document(context: AppContext, job: Job, answers: MinutesAnswers) -> MinutesDocument:
    """Build the document of a job's minutes from the answers to its questions."""
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
    """Return the newest minutes of a job that fit its present transcript; None where there are none."""
    for job in context.catalog.digests(of.recording_id):
        settings = MinutesSettings.from_dict(job.settings)
        work = MinutesPlan(settings, transcript)
        if settings.of != of.id or not work.is_of_this_transcript:
            continue
        answers = MinutesAnswers.stored(context, work)
        if answers.by_step:
            return minutes_document(context, job, answers)
    return None


def _remarks(context: AppContext, answers: MinutesAnswers) -> Iterator[str]:
    """Yield what a reader of the minutes must know, such as which part of the recording they lack."""
    work = answers.work
    for stretch in (*work.transcript.missing, *work.transcript.suspect):
        yield f"The transcript lacks {clock(stretch.start_ms)}-{clock(stretch.end_ms + 999)}."
    for step in answers.missing:
        first, last = work.lines[step.first], work.lines[step.end - 1]
        yield f"What was said from {clock(first.at_ms)} to {clock(last.at_ms)} is not in these minutes."
    if not answers.is_complete and not answers.missing:
        yield "These are the minutes of several parts, which are not summed up yet."
    if context.ledger.suspects(work.keys):
        yield "The model's answer was cut short, so something may be lacking."
