"""A drop folder in S3: the objects under a prefix. An object is there only when its upload has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stenoflow.storage.objects.s3_client import list_objects
from stenoflow.tasks.errors import NotAudioError, SourceNotFoundError
from stenoflow.tasks.sources.inbox.entry import Entry, Snapshot, WriteState
from stenoflow.tasks.sources.s3 import object_at, refusals, resolve_s3, split_uri
from stenoflow.tasks.sources.source import is_recording

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

    def look(self) -> Snapshot:
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
        return Snapshot(tuple(entries), others)

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
        """
        outside = self.prefix.rstrip("/").rpartition("/")
        target = f"{outside[0]}{outside[1]}rejected/{entry.path}"
        client = self.client()
        with refusals(entry.source.uri):
            place = {"Bucket": self.bucket, "Key": self.prefix + entry.path}
            client.copy({"Bucket": place["Bucket"], "Key": place["Key"]}, self.bucket, target)
            client.put_object(Bucket=self.bucket, Key=f"{target}.reason.txt", Body=f"{reason}\n".encode())
            client.delete_object(Bucket=place["Bucket"], Key=place["Key"])
        return f"s3://{self.bucket}/{target}"


def _mark(etag: str, size: int) -> str:
    return f"{size}-{etag.strip(chr(34))}"
