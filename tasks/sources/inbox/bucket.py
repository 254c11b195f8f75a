"""A drop folder in S3: the objects under a prefix. An object is there only when its upload has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from stenoflow.storage.objects.s3_client import list_objects, status_of
from stenoflow.tasks.errors import NotAudioError, SettingsError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources.file_names import is_recording, shown
from stenoflow.tasks.sources.inbox.entry import Entry, InboxSnapshot, WriteState, beside
from stenoflow.tasks.sources.inbox.moving import REASON, free_names, renamed, sidecars
from stenoflow.tasks.sources.s3 import object_at, refusals, resolve_s3, split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class BucketInbox:
    """A prefix under which recordings are put.

    Attributes:
        bucket: its bucket.
        prefix: "", or ends with a slash.
        client: gives the client.
    """

    bucket: str
    prefix: str
    client: Callable[[], S3Client]

    @property
    def address(self) -> str:
        """What it is called."""
        return f"s3://{self.bucket}/{self.prefix}"

    def check(self) -> None:
        """Raise unless it can be looked into now. Raises as `look`."""
        with refusals(self.address):
            next(list_objects(self.client(), self.bucket, self.prefix), None)

    def look(self) -> InboxSnapshot:
        """Return what is there now.

        Raises:
            SourceNotFoundError, SourceUnreadableError: no such bucket, access denied, out of reach.
        """
        entries, others = [], {}
        with refusals(self.address):
            for listed in list_objects(self.client(), self.bucket, self.prefix):
                path = listed["Key"].removeprefix(self.prefix)
                etag = listed.get("ETag", "")
                if is_recording(path):
                    source = object_at(self.bucket, listed["Key"], etag, listed["Size"])
                    entries.append(Entry(path, source, _mark(etag, listed["Size"]), WriteState.WHOLE))
                else:
                    others[path] = _mark(etag, listed["Size"])
        return InboxSnapshot(tuple(entries), others)

    def changes(self, stopped: threading.Event) -> Iterator[None]:  # noqa: ARG002 - as of any inbox
        """Yield nothing: a bucket tells a queue."""
        return iter(())

    def find(self, uri: str) -> Entry | None:
        """Return the recording at an address; None where it is gone, empty, or lies elsewhere."""
        bucket, key = split_uri(uri)
        if bucket != self.bucket:
            return None
        path = key.removeprefix(self.prefix)
        if not key.startswith(self.prefix) or not is_recording(path):
            return None
        try:
            (source,) = resolve_s3(uri, self.client())
        except (SourceNotFoundError, NotAudioError):
            return None
        return Entry(path, source, _mark(source.version or "", source.size), WriteState.WHOLE)

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return the beginning of a small object, None if there is none."""
        try:
            with refusals(f"{self.address}{path}"):
                found = self.client().get_object(Bucket=self.bucket, Key=self.prefix + path)
                with found["Body"]:
                    return found["Body"].read(most_bytes)
        except SourceNotFoundError:
            return None

    def reject(self, entry: Entry, reason: str) -> str:
        """Move an object to ``rejected/`` beside the inbox, with the reason in an object beside it.

        Returns:
            Its key's new address.

        Raises:
            SourceUnreadableError: it is not the same any more.
        """
        outside = self.prefix.rstrip("/").rpartition("/")
        return self._move(entry, self.bucket, f"{outside[0]}{outside[1]}rejected/", reason)

    def check_place(self, place: str) -> None:
        """Raise SettingsError unless recordings can be moved to a place."""
        if not place.lower().startswith("s3://"):
            raise SettingsError(f"recordings of S3 cannot be moved to {place}", "give s3://bucket/prefix/")
        bucket, prefix = _place(place)
        if bucket == self.bucket and prefix.startswith(self.prefix):
            raise SettingsError(f"{place} lies in the inbox", "give a prefix outside it")

    def put_away(self, entry: Entry, place: str) -> str:
        """Move an object to a prefix outside the inbox; returns its new address. Raises as `reject`."""
        return self._move(entry, *_place(place))

    def remove(self, entry: Entry) -> None:
        """Delete an object, with what belongs to it. Raises as `reject`."""
        with refusals(entry.source.uri):
            for path in [*self._along(entry), entry.path]:
                self.client().delete_object(Bucket=self.bucket, Key=self.prefix + path)

    def _along(self, entry: Entry) -> dict[str, str]:
        """Return what goes along with an object, if that is what it was; see `sidecars`."""
        client = self.client()
        found = client.head_object(Bucket=self.bucket, Key=self.prefix + entry.path)
        if _mark(found.get("ETag", ""), found["ContentLength"]) != entry.mark:
            raise SourceUnreadableError(
                f"{shown(entry.path)} is not the same any more, and stays where it is"
            )
        stem = self.prefix + beside(entry.path, "")[1]
        there = {each["Key"].removeprefix(self.prefix) for each in list_objects(client, self.bucket, stem)}
        return sidecars(entry.path, there)

    def _move(self, entry: Entry, bucket: str, prefix: str, reason: str | None = None) -> str:
        """Move an object, with what belongs to it, to a key that nothing has yet."""
        name = self.prefix.rstrip("/").rpartition("/")[2] or self.bucket
        with refusals(entry.source.uri):
            along = self._along(entry)
            for free in free_names(entry.path, name, entry.hash):
                targets = [prefix + renamed(free, addition) for addition in along.values()]
                note = f"{prefix}{free}{REASON}"
                if any(self._is_taken(bucket, key) for key in [note, *targets]):
                    continue
                if not self._claim(bucket, prefix + free):
                    continue
                self._move_object(entry.path, bucket, prefix + free)
                for sidecar, target in zip(along, targets, strict=True):
                    # Somebody's own, of that very moment, is not replaced; ours stays in the inbox.
                    if self._claim(bucket, target):
                        self._move_object(sidecar, bucket, target)
                if reason is not None:
                    self._claim(bucket, note, f"{reason}\n".encode())
                return f"s3://{bucket}/{prefix}{free}"
        raise AssertionError("names do not end")

    def _move_object(self, path: str, bucket: str, target: str) -> None:
        """Move an object over our own claim."""
        client, key = self.client(), self.prefix + path
        try:
            client.copy({"Bucket": self.bucket, "Key": key}, bucket, target)
        except BaseException:
            client.delete_object(Bucket=bucket, Key=target)
            raise
        client.delete_object(Bucket=self.bucket, Key=key)

    def _claim(self, bucket: str, key: str, body: bytes = b"") -> bool:
        """Put an object where there is none; False where there is one. A large copy cannot ask for that."""
        if self._is_taken(bucket, key):  # some servers ignore the condition without a word
            return False
        try:
            self.client().put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) == 412:
                return False
            if status_of(error) != 501:  # others refuse the condition
                raise
            self.client().put_object(Bucket=bucket, Key=key, Body=body)
        return True

    def _is_taken(self, bucket: str, key: str) -> bool:
        try:
            self.client().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if status_of(error) == 404:
                return False
            raise
        return True


def _place(address: str) -> tuple[str, str]:
    bucket, prefix = split_uri("s3://" + address[len("s3://") :])
    return bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _mark(etag: str, size: int) -> str:
    return f"{size}-{etag.strip(chr(34))}"
