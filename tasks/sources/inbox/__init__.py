"""Opening a drop folder by its address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stenoflow.tasks.errors import SourceNotFoundError
from stenoflow.tasks.sources.file_names import shown
from stenoflow.tasks.sources.inbox.entry import Entry, InboxSnapshot
from stenoflow.tasks.sources.inbox.folder import FolderInbox
from stenoflow.tasks.sources.local import path_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ACCEPTED = "give a folder, or s3://bucket/prefix/"


class Inbox(Protocol):
    """A place into which recordings are dropped."""

    @property
    def address(self) -> str:
        """What it is called."""

    def check(self) -> None:
        """Raise RefusedError unless it can be looked into now."""

    def look(self) -> InboxSnapshot:
        """Return what is there now."""

    def changes(self, stopped: threading.Event) -> Iterator[None]:
        """Yield when something may have changed, until ``stopped``; nothing where only looks can tell."""

    def find(self, uri: str) -> Entry | None:
        """Return the recording at an address, complete or not; None where it is gone or lies elsewhere."""

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return the beginning of a small file; None if there is none."""

    def reject(self, entry: Entry, reason: str) -> str:
        """Move a recording to ``rejected`` beside the inbox, with the reason; returns where to."""

    def remove(self, entry: Entry) -> None:
        """Delete a recording, with what belongs to it; raises SourceUnreadableError if it has changed."""

    def check_place(self, place: str) -> None:
        """Raise SettingsError unless recordings can be moved to a place, which lies outside the inbox."""

    def put_away(self, entry: Entry, place: str) -> str:
        """Move a recording to a place outside the inbox; returns where to.

        As `reject` it takes along what belongs to the recording, and never replaces anything.
        """


def prefix_of(address: str) -> str:
    """Return how the addresses of the recordings in an inbox begin; no two inboxes have the same."""
    scheme = address.partition("://")[0].lower()
    if scheme == "s3":
        return f"s3://{address.partition('://')[2].rstrip('/')}/"
    folder = path_of(address) if scheme == "file" else Path(address)
    return f"{folder.resolve().as_uri()}/"


def open_inbox(address: str, client: Callable[[], S3Client]) -> Inbox:
    """Return the inbox of an address. A bucket is not asked whether it is there.

    Raises:
        SourceNotFoundError, SourceUnreadableError: there is no such folder, or it may not be read.
    """
    inbox = inbox_at(address, client)
    if isinstance(inbox, FolderInbox):
        inbox.check()
    return inbox


def inbox_at(address: str, client: Callable[[], S3Client]) -> Inbox:
    """Return the inbox of an address, whether it is there or not.

    Raises:
        SourceNotFoundError: there can be none at such an address.
    """
    if address.lower().startswith("s3://"):
        from stenoflow.tasks.sources.inbox.bucket import BucketInbox  # noqa: PLC0415 - boto3 takes half a second to import
        from stenoflow.tasks.sources.s3 import split_uri  # noqa: PLC0415 - the same

        bucket, prefix = split_uri("s3://" + address[len("s3://") :])
        return BucketInbox(bucket, prefix if prefix.endswith("/") or not prefix else f"{prefix}/", client)
    try:
        folder = path_of(address) if address.lower().startswith("file://") else Path(address)
        return FolderInbox(folder.resolve())
    except (ValueError, RuntimeError, OSError) as error:  # a NUL in the path; links in a circle
        raise SourceNotFoundError(f"there can be no folder {shown(address)}", _ACCEPTED) from error
