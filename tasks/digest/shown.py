"""A digest as people are shown it: its minutes, with what a reader must know; calls nobody."""

from __future__ import annotations

from collections.abc import Iterator

from storage.database.tables import Job
from tasks.digest.settings import DigestSettings
from tasks.digest.work import Answers, Work
from tasks.minutes.writing import MinutesDocument
from tasks.speech.timecode import clock
from tasks.speech.transcript import Transcript
from tasks.workshop import Workshop

_PAGE = "transcript.html"


def shown(workshop: Workshop, job: Job, answers: Answers) -> MinutesDocument:
    """Make what is rendered of a digest."""
    settings = answers.work.settings
    return MinutesDocument(
        answers.minutes,
        workshop.catalog.recording(job.recording_id).name,
        job.id,
        settings.of,
        f"../{settings.of}/{_PAGE}",
        f"{settings.model} at {settings.provider}",
        answers.work.transcript.language,
        tuple(_remarks(workshop, answers)),
    )


def newest_minutes(workshop: Workshop, of: Job, transcript: Transcript) -> MinutesDocument | None:
    """Return the newest minutes of a job's transcript as it is now; None where there are none."""
    for job in workshop.catalog.digests(of.recording_id):
        settings = DigestSettings.from_dict(job.settings)
        work = Work(settings, transcript)
        if settings.of != of.id or not work.is_of_this_transcript:
            continue
        answers = Answers.stored(workshop, work)
        if answers.by_step:
            return shown(workshop, job, answers)
    return None


def _remarks(workshop: Workshop, answers: Answers) -> Iterator[str]:
    """Say what a reader of the minutes must know."""
    work = answers.work
    for stretch in work.transcript.missing:
        yield f"The transcript lacks {clock(stretch.start_ms)}-{clock(stretch.end_ms + 999)}."
    for step in answers.missing:
        first, last = work.lines[step.first], work.lines[step.end - 1]
        yield f"What was said from {clock(first.at_ms)} to {clock(last.at_ms)} is not in these minutes."
    if not answers.is_complete and not answers.missing:
        yield "These are the minutes of several parts, which are not summed up yet."
    if workshop.ledger.suspects(work.keys):
        yield "The model's answer was cut short, so something may be lacking."
