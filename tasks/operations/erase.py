"""Forgetting a recording: its sound, segments, answers and artifacts; what it cost stays, without names."""

from __future__ import annotations

import shutil

from stenoflow.storage.database.erasure import ErasableRecording, Erasure
from stenoflow.tasks.artifacts.publisher import ANSWERS
from stenoflow.tasks.calls.audio_cache import piece_prefix
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.sources.fetch import copy_path


def find(context: AppContext, wanted: str) -> list[ErasableRecording]:
    """Return what a user means by an id, its beginning, or an address.

    Raises:
        SettingsError: there is none, or the beginning is that of several.
    """
    found = Erasure(context.database, context.leases).find(wanted) if wanted else []
    if not found:
        raise SettingsError(f"there is no recording {wanted}", "stenoflow jobs --json names them")
    if len(found) > 1 and any(each.source != wanted for each in found):
        raise SettingsError(f"several recordings begin with {wanted}", "give more of the id")
    return found


def erase(context: AppContext, recording: ErasableRecording) -> int:
    """Forget a recording. A file or object of the user's own stays where it is.

    What lies outside the database goes first, so that a run that is broken off can be said again.

    Returns:
        How many artifacts, with all their versions, there were in the store.

    Raises:
        TakenError: a run is at work on it; nothing is erased.
        ObjectStoreError: the store refused; the rest is still there.
    """
    forgetting = Erasure(context.database, context.leases)
    forgetting.check_idle(recording.recording_id)
    work = context.settings.work
    copy_path(work / "sources", recording.source, recording.version).unlink(missing_ok=True)
    for job_id in recording.jobs:
        for folder in (work / "segments").glob(f"{job_id}.*"):
            shutil.rmtree(folder, ignore_errors=True)
    for job_id in recording.jobs:
        # Not an artifact, so not counted as one.
        context.store.erase(f"{recording.recording_id}/{job_id}/{ANSWERS}")
    erased = context.store.erase(f"{recording.recording_id}/")
    for cache_key in forgetting.spoken(recording.recording_id):
        erased += context.store.erase(piece_prefix(cache_key))
    forgetting.erase(recording.recording_id)
    return erased
