"""Forgetting a recording: its sound, segments, answers and artifacts; what it cost stays, without names."""

from __future__ import annotations

import shutil

from storage.database.forgetting import Forgettable, Forgetting, choose
from tasks.sources.downloading import copy_path
from tasks.workshop import Workshop


def find(workshop: Workshop, wanted: str) -> list[Forgettable]:
    """Return what a user means by an id, its beginning, or an address.

    Raises:
        StorageError: there is none, or the beginning is that of several.
    """
    return choose(Forgetting(workshop.database, workshop.leases).find(wanted), wanted)


def forget(workshop: Workshop, recording: Forgettable) -> int:
    """Forget a recording. A file or object of the user's own stays where it is.

    What lies outside the database goes first, so that a run that is broken off can be said again.

    Returns:
        How many artifacts, with all their versions, there were in the store.

    Raises:
        TakenError: a run is at work on it; nothing is erased.
        ObjectStoreError: the store refused; the rest is still there.
    """
    forgetting = Forgetting(workshop.database, workshop.leases)
    forgetting.check_idle(recording.recording_id)
    work = workshop.settings.work
    copy_path(work / "sources", recording.source, recording.version).unlink(missing_ok=True)
    for job_id in recording.jobs:
        for folder in (work / "segments").glob(f"{job_id}.*"):
            shutil.rmtree(folder, ignore_errors=True)
    erased = workshop.store.erase(f"{recording.recording_id}/")
    forgetting.erase(recording.recording_id)
    return erased
