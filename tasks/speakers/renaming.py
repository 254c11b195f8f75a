"""Naming the speakers of a job that is published: its artifacts are made anew from stored answers."""

from __future__ import annotations

from collections.abc import Mapping

from storage.database.states import JobState
from tasks.errors import SettingsError
from tasks.publishing import publish, tell_apart
from tasks.speakers.telling_apart import labels_of
from tasks.workshop import Workshop

_PUBLISHED = {JobState.COMPLETE, JobState.PARTIAL}


def rename(workshop: Workshop, job_id: str, wanted: Mapping[str, str]) -> None:
    """Call speakers otherwise, and publish again; calls nobody.

    Args:
        workshop: the tools.
        job_id: the job.
        wanted: names, by what the speakers are called now or were called by us.

    Raises:
        SettingsError: nobody is called so, or the job is not published.
        TakenError: a run is at work on it.
    """
    job = workshop.catalog.job(job_id)
    if job.state not in _PUBLISHED:
        raise SettingsError(f"job {job_id} is {job.state}: nothing of it is published", "resume it first")
    told = tell_apart(workshop, job, workshop.catalog.segments(job_id))
    workshop.catalog.name_speakers(job_id, labels_of(told, job.speakers or {}, wanted))
    publish(workshop, job_id)
