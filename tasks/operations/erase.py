"""Forgetting a recording: its sound, segments, answers and artifacts; what it cost stays, without names."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from stenoflow.storage.database.erasure import ErasableRecording, Erasure
from stenoflow.storage.database.rows import LEAST_OF_ID
from stenoflow.tasks.artifacts.publisher import ANSWERS
from stenoflow.tasks.calls.audio_cache import piece_prefix
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.sources.fetch import copy_path
from stenoflow.tasks.sources.uploads import Uploads


def find(context: AppContext, wanted: str) -> list[ErasableRecording]:
    """Return what a user means by an id, its beginning, or an address.

    Raises:
        SettingsError: there is none, the beginning is too short to be no mistake, or is that of several.
    """
    if len(wanted) < LEAST_OF_ID:
        raise SettingsError(
            f"'{wanted}' is too short to tell a recording",
            f"give at least {LEAST_OF_ID} characters of its id; stenoflow jobs --json names them",
        )
    found = Erasure(context.database, context.leases).find(wanted)
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
    erasure = Erasure(context.database, context.leases)
    erasure.check_idle(recording.recording_id)
    for path in sound_left(context, recording.source, recording.version, recording.jobs):
        remove(path)
    Uploads(context.settings.home, context.store).erase(recording.source)
    for job_id in recording.jobs:
        # Not an artifact, so not counted as one.
        context.store.erase(f"{recording.recording_id}/{job_id}/{ANSWERS}")

    erased = context.store.erase(f"{recording.recording_id}/")
    for cache_key in erasure.spoken(recording.jobs, recording.jobs):
        erased += context.store.erase(piece_prefix(cache_key))
    erasure.erase(recording.recording_id)
    return erased


def sound_left(context: AppContext, source: str, version: str | None, jobs: Iterable[str]) -> list[Path]:
    """Return our own copy of a recording, and the folders of cut sound of its jobs, where they are there."""
    work = context.settings.work
    copies = [copy_path(work / "sources", source, version)]
    cut = [folder for job_id in jobs for folder in (work / "segments").glob(f"{job_id}.*")]
    return [path for path in [*copies, *cut] if path.exists()]


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
