"""Downloading one object of S3, going on where an earlier download stopped."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from storage.objects.errors import StoreUnavailableError
from storage.objects.files import file_errors
from storage.objects.s3_errors import s3_errors
from tasks.errors import NotAudioError, SourceUnreadableError
from tasks.sources.naming import shown
from tasks.sources.s3 import refusals, split_uri
from tasks.sources.source import Fetched, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

Progress = Callable[[int], None]
"""Told the bytes that are there so far."""

_CHUNK_BYTES: Final = 1 << 20
# How often one download goes on after its connection broke.
_CONTINUATIONS: Final = 20


def download(source: Source, folder: Path, client: S3Client, progress: Progress) -> Fetched:
    """Bring an object into the folder under a name of our own, whole or not at all.

    Of several processes that want the same object there, one downloads and the others wait for it.

    Raises:
        SourceNotFoundError: it is gone.
        SourceUnreadableError: access denied, out of reach, or another object has taken its place.
        NotAudioError: it is empty.
        DiskFullError: there is no space left in the folder.
    """
    if source.size == 0:
        raise NotAudioError(f"{shown(source.uri)} is empty: it has 0 bytes")
    path = copy_path(folder, source.uri, source.version)
    with file_errors("write", path):
        folder.mkdir(parents=True, exist_ok=True)
        _bring(path, source, client, progress)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found = os.fstat(file.fileno())
        return Fetched(path, sha256, found.st_size, found.st_mtime_ns)


def _bring(path: Path, source: Source, client: S3Client, progress: Progress) -> None:
    """Download to the path, unless it is there."""
    part = path.with_suffix(".part")
    with _locked(part) as file:
        if source.version is not None and path.exists():
            part.unlink(missing_ok=True)
            return
        with refusals(source.uri):
            _complete(file, source, client, progress)
        part.replace(path)


def copy_path(folder: Path, uri: str, version: str | None) -> Path:
    """Name a copy after address and version: nothing that others choose ends up in a path."""
    return folder / f"source-{hashlib.sha256(f'{uri} {version}'.encode()).hexdigest()[:32]}.media"


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _complete(file: BinaryIO, source: Source, client: S3Client, progress: Progress) -> None:
    """Append to the file what it lacks; as often as the connection breaks, as long as that brings more."""
    if source.version is None or _length(file) > source.size:
        file.truncate(0)  # nothing shows that what is there is of the same object
    for _ in range(_CONTINUATIONS):
        before = _length(file)
        if before == source.size:
            break
        try:
            _append(file, source, client, progress)
        except StoreUnavailableError:
            if _length(file) <= before:
                raise
    if _length(file) != source.size:
        raise SourceUnreadableError(f"{shown(source.uri)}: the connection broke again and again")
    os.fsync(file.fileno())


def _append(file: BinaryIO, source: Source, client: S3Client, progress: Progress) -> None:
    bucket, key = split_uri(source.uri)
    with s3_errors(shown(source.uri)):
        answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={_length(file)}-")
        with answer["Body"]:
            _check_same(answer, source)
            if not answer.get("ContentRange"):
                file.truncate(0)  # a server that knows no ranges begins anew
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
                progress(_length(file))


def _check_same(answer: GetObjectOutputTypeDef, source: Source) -> None:
    """Refuse another revision than the one that was resolved.

    The answer's ETag is that of the very bytes behind it, so this is as good as asking If-Match, which not
    every server takes with quotes (Ceph), nor every one without.
    """
    etag = answer.get("ETag", "").strip('"') or None
    if etag != source.version:
        raise SourceUnreadableError(
            f"{shown(source.uri)} was replaced meanwhile", "start again, to take what is there now"
        )


def _length(file: BinaryIO) -> int:
    file.flush()
    return os.fstat(file.fileno()).st_size
