"""Erase what is kept longer than ``[retention]`` says; receipts with hashes and times stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stenoflow.storage.database.erasure import EndedJob, Erasure, Item
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.artifacts.publisher import ANSWERS
from stenoflow.tasks.calls.audio_cache import piece_prefix
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.operations.erase import remove, sound_left
from stenoflow.tasks.operations.inbox_scanner import id_of
from stenoflow.tasks.settings import InboxSettings
from stenoflow.tasks.sources.inbox import Inbox, open_inbox, prefix_of
from stenoflow.tasks.sources.inbox.entry import Entry
from stenoflow.tasks.sources.uploads import Uploads

KINDS = ("sound", "answers", "artifacts", "recordings")
"""What is kept of a job; the names of the settings."""
_CAUSE = "retention"


@dataclass(frozen=True, slots=True)
class Expired:
    """Something of a job that is kept no longer.

    Attributes:
        kind: one of `KINDS`.
        items: what there is of it, as the receipt will name it.
        moved_to: where recordings go; None: they are deleted.
    """

    job: EndedJob
    kind: str
    items: tuple[Item, ...]
    moved_to: str | None = None


@dataclass(frozen=True, slots=True)
class _Inbox:
    settings: InboxSettings
    inbox: Inbox

    @property
    def prefix(self) -> str:
        """How the addresses of what is in it begin."""
        return f"{self.inbox.address.rstrip('/')}/"


class Retention:
    """The periods of ``[retention]``, held against what there is."""

    def __init__(self, context: AppContext, now: datetime | None = None) -> None:
        self._context = context
        self._now = now or datetime.now(UTC)
        self._erasure = Erasure(context.database, context.leases)
        self._inboxes = list(_opened(context))
        self._uploads = Uploads(context.settings.home, context.store)
        self._due = {kind: self._due_jobs(kind) for kind in KINDS}

    def expired(self) -> Iterator[Expired]:
        """Yield what there is that is kept no longer; changes nothing."""
        for kind, jobs in self._due.items():
            for job in jobs.values():
                items = tuple(self._items(kind, job))
                if items:
                    found = self._inbox_of(job) if kind == "recordings" else None
                    yield Expired(job, kind, items, None if found is None else found.settings.done_to)

    def erase(self, expired: Expired) -> None:
        """Erase it, and leave a receipt.

        Raises:
            TakenError: a run is at work on the recording; nothing is erased.
            ObjectStoreError, RefusedError: the store or the inbox refused; the next night tries again.
        """
        job, context = expired.job, self._context
        self._erasure.check_idle(job.recording_id)
        match expired.kind:
            case "sound":
                with self._erasure.receipted(job, expired.kind, _CAUSE, expired.items):
                    for path in self._sound(job):
                        remove(path)
                    if self._has_upload(job):
                        self._uploads.erase(job.source)
            case "answers":
                for key in self._erasure.spoken([job.id], list(self._due["answers"])):
                    context.store.erase(piece_prefix(key))
                # From which a lost database takes them back.
                context.store.erase(f"{job.recording_id}/{job.id}/{ANSWERS}")
                self._erasure.erase_answers(job, list(self._due["answers"]), _CAUSE)
            case "artifacts":
                context.store.erase(f"{job.recording_id}/{job.id}/")
                if self._erasure.erase_artifacts(job, _CAUSE):
                    context.store.erase(f"{job.recording_id}/")
            case _:
                with self._erasure.receipted(job, expired.kind, _CAUSE, expired.items):
                    self._clear_inbox(job)

    def _due_jobs(self, kind: str) -> Mapping[str, EndedJob]:
        periods, inboxes = self._context.settings.retention, self._context.settings.inboxes
        prefixes = {each.name: prefix_of(each.address) for each in inboxes}
        due = {}
        for job in self._erasure.ended_jobs():
            # Also of one that is away now: what it says of periods holds all the same.
            inbox = next((each.name for each in inboxes if job.source.startswith(prefixes[each.name])), None)
            days = periods.days(kind, job.tag, inbox)
            if days is not None and job.finished_at + timedelta(days=days) <= self._now:
                due[job.id] = job
        return due

    def _items(self, kind: str, job: EndedJob) -> Sequence[Item]:
        match kind:
            case "sound":
                items = [_described(path) for path in self._sound(job)]
                if self._has_upload(job):
                    items.append(self._recording(job))
                return items
            case "answers":
                return self._erasure.answers(job.id, list(self._due["answers"]))
            case "artifacts":
                return self._erasure.artifacts(job.id)
            case _:
                if self._entry(job) is None:
                    return []
                return [self._recording(job)]

    def _recording(self, job: EndedJob) -> Item:
        recording = self._context.catalog.recording(job.recording_id)
        return {"what": "recording", "sha256": recording.sha256, "bytes": recording.bytes}

    def _has_upload(self, job: EndedJob) -> bool:
        """Tell whether a recording was sent in by the desk, and no job needs it any more."""
        if not self._uploads.has(job.source):
            return False
        (recording,) = self._erasure.find(job.recording_id)
        # Told of one of them, so that it is erased, and receipted, once.
        return job.id == max(recording.jobs) and all(each in self._due["sound"] for each in recording.jobs)

    def _sound(self, job: EndedJob) -> list[Path]:
        return sound_left(self._context, job.source, job.version, [job.id])

    def _inbox_of(self, job: EndedJob) -> _Inbox | None:
        return next((each for each in self._inboxes if job.source.startswith(each.prefix)), None)

    def _entry(self, job: EndedJob) -> tuple[_Inbox, Entry] | None:
        """Return a job's recording in its inbox, if it is there as it was taken, and complete."""
        found = self._inbox_of(job)
        try:
            entry = None if found is None else found.inbox.find(job.source)
        except StenoflowError:
            return None  # out of reach: the next night looks again
        if found is None or entry is None:
            return None
        return (found, entry) if self._context.arrivals.is_complete(id_of(entry), job.id) else None

    def _clear_inbox(self, job: EndedJob) -> None:
        found = self._entry(job)
        if found is None:
            return
        (inbox, entry) = found
        if inbox.settings.done_to is None:
            inbox.inbox.remove(entry)
        else:
            inbox.inbox.put_away(entry, inbox.settings.done_to)


def _opened(context: AppContext) -> Iterator[_Inbox]:
    """Yield the inboxes of the settings, but those that are not there."""
    for settings in context.settings.inboxes:
        try:
            yield _Inbox(settings, open_inbox(settings.address, context.s3))
        except StenoflowError:
            continue


def _described(path: Path) -> Item:
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    total, digest = 0, hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                total += len(chunk)
    return {"what": "cut sound" if path.is_dir() else "copy", "sha256": digest.hexdigest(), "bytes": total}
