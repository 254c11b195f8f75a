"""Recordings in S3: found, and downloaded before anything reads them.

ffmpeg never reads from a URL: a dropped connection looked like the recording's end to it (1,250 of 3,600 s,
with exit 0), and a playlist there could name other addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from stenoflow.storage.errors import ObjectNotFoundError, ObjectStoreError, StoreUnavailableError
from stenoflow.tasks.errors import (
    NotAudioError,
    SourceNotFoundError,
    SourceOutOfReachError,
    SourceUnreadableError,
)
from stenoflow.tasks.sources.file_names import (
    display_name,
    is_recording,
    no_recordings,
    remark_on_others,
    shown,
)
from stenoflow.tasks.sources.source import Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


SCHEME: Final = "s3://"


def resolve_s3(uri: str, client: S3Client, remark: Callable[[str], None] = lambda _: None) -> list[Source]:
    """Return the object, or, where the URI ends with a slash, the recordings under that prefix.

    ``remark`` is told what was passed over.

    Raises:
        SourceNotFoundError: no such bucket or object, or no recording under the prefix.
        SourceUnreadableError: access denied, or the server is out of reach.
        NotAudioError: the object is empty.
    """
    bucket, key = split_uri(uri)
    with refusals(uri):
        if not key or key.endswith("/"):
            return _under_prefix(client, bucket, key, remark)
        return [_object(client, bucket, key)]


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an ``s3://`` URI; the key may be empty.

    Raises:
        SourceNotFoundError: there can be nothing of such a name in S3.
    """
    bucket, _, key = uri[len(SCHEME) :].partition("/")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise SourceNotFoundError(f"no such object: {shown(uri)}", "names in S3 are UTF-8") from None
    if "\0" in key:  # no database would take it
        raise SourceNotFoundError(f"no such object: {shown(uri)}", "a name holds no NUL")
    if not bucket:
        raise SourceNotFoundError(f"no bucket in {shown(uri)}", "give s3://bucket/key or s3://bucket/prefix/")
    return bucket, key


@contextmanager
def refusals(uri: str) -> Iterator[None]:
    """Raise a refusal of the source for the object store's errors."""
    from stenoflow.storage.objects.s3_client import s3_errors  # noqa: PLC0415 - boto3 takes half a second

    try:
        with s3_errors(shown(uri)):
            yield
    except ObjectNotFoundError as error:
        raise SourceNotFoundError(error.message, error.hint) from error
    except StoreUnavailableError as error:
        raise SourceOutOfReachError(shown(error.message), error.hint) from error
    except ObjectStoreError as error:
        raise SourceUnreadableError(shown(error.message), error.hint) from error


def _object(client: S3Client, bucket: str, key: str) -> Source:
    from stenoflow.storage.objects.s3_client import s3_errors  # noqa: PLC0415 - boto3 takes half a second

    uri = f"{SCHEME}{bucket}/{key}"
    try:
        with s3_errors(shown(uri)):
            found = client.head_object(Bucket=bucket, Key=key)
    except ObjectNotFoundError:
        # The answer to HEAD has no body that could tell which of the two is missing.
        with s3_errors(shown(uri)):
            client.list_objects_v2(Bucket=bucket, MaxKeys=1)
        raise SourceNotFoundError(
            f"no such object: {shown(uri)}", "for all recordings under a prefix end it with a slash"
        ) from None
    if found["ContentLength"] == 0:
        raise NotAudioError(f"{shown(uri)} is empty: it has 0 bytes")
    return object_at(bucket, key, found.get("ETag", ""), found["ContentLength"])


def _under_prefix(client: S3Client, bucket: str, prefix: str, remark: Callable[[str], None]) -> list[Source]:
    from stenoflow.storage.objects.s3_client import list_objects  # noqa: PLC0415 - boto3 takes half a second

    found, others = [], []
    for listed in list_objects(client, bucket, prefix):
        path = listed["Key"].removeprefix(prefix)
        if is_recording(path):
            found.append(object_at(bucket, listed["Key"], listed.get("ETag", ""), listed["Size"]))
        elif not listed["Key"].endswith("/"):  # those that consoles make to show a folder
            others.append(path)
    if not found:
        raise SourceNotFoundError(*no_recordings(f"{SCHEME}{bucket}/{prefix}", others))
    passed_over = remark_on_others(f"{SCHEME}{bucket}/{prefix}", others)
    if passed_over is not None:
        remark(passed_over)
    # Not every server lists by key: SeaweedFS lists a folder's subfolders where they stand.
    return sorted(found, key=lambda source: source.uri)


def object_at(bucket: str, key: str, etag: str, size: int) -> Source:
    """Return an object as a listing shows it."""
    return Source(f"{SCHEME}{bucket}/{key}", display_name(key), etag.strip('"') or None, size)
