"""Resolve an address to sources, and fetch one: download what is not here, hash all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from stenoflow.storage.errors import StoreUnavailableError
from stenoflow.storage.objects.local import file_errors
from stenoflow.storage.private import make_folder, open_private
from stenoflow.tasks.errors import NotAudioError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources.file_names import shown
from stenoflow.tasks.sources.local import path_of, read_in_place, resolve_path
from stenoflow.tasks.sources.s3 import refusals, split_uri
from stenoflow.tasks.sources.source import Fetched, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ACCEPTED: Final = "give a file, a folder, s3://bucket/key, or s3://bucket/prefix/"


def resolve(
    source: str,
    client: Callable[[], S3Client] | None = None,
    remark: Callable[[str], None] = lambda _: None,
    within: Iterable[str] = (),
) -> list[Source]:
    """Return the recordings that a user's argument means; one at least.

    A file or an object is taken whatever its name. A folder, or a prefix (with a slash at its end), means
    all recordings in it and below, sorted: names with a suffix of `MEDIA_SUFFIXES`, but none that are hidden
    or still being written. Whether they are sound is not looked into; one of many that cannot even be read
    is in the list all the same, and `fetch` says why, so that it spoils nothing for the others.

    Args:
        source: a path, a ``file://`` or an ``s3://`` address.
        client: gives the S3 client to use, such as a `LazyClient`; otherwise
            one is built where it is needed.
        remark: told, for people, which files and folders were passed over.
        within: how the addresses of inboxes begin: what lies in one of them is not read through a link that
            leads out of it. Not for what the user names himself.

    Raises:
        SourceNotFoundError: there is nothing of the kind there.
        SourceUnreadableError: no permission, a link to nothing, a FIFO, access denied, out of reach.
        NotAudioError: the single file or object is empty.
    """
    match = _SCHEME.match(source)
    scheme = match[1].lower() if match else ""
    if scheme == "s3":
        from stenoflow.tasks.sources.s3 import resolve_s3  # noqa: PLC0415 - boto3 takes half a second to import

        return resolve_s3(source, _client(client), remark)
    if scheme == "file":
        folder = next((path_of(each) for each in within if source.startswith(each)), None)
        return resolve_path(path_of(source), remark, folder)
    if scheme:  # the address itself may hold a password
        raise SourceNotFoundError(f"recordings are not read from {scheme}:// addresses", _ACCEPTED)
    if not source:
        raise SourceNotFoundError("the name of the recording is empty", _ACCEPTED)
    return resolve_path(Path(source), remark)


def fetch(
    source: Source,
    folder: Path,
    client: Callable[[], S3Client] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Fetched:
    """Make a recording readable as a file, and hash it.

    A local file is read where it is. An object is downloaded; where an earlier download into the same folder
    stopped, this one goes on, and what is there whole is not fetched again.

    Args:
        source: from `resolve`.
        folder: where downloads go; made if missing.
        client: as in `resolve`.
        progress: told how many of ``source.size`` bytes are there, from time to time.

    Raises:
        SourceNotFoundError: it is gone.
        SourceUnreadableError: as in `resolve`; or it was replaced, or written to, meanwhile.
        NotAudioError: it is empty.
        DiskFullError: there is no space left in the folder.
    """
    if not source.uri.startswith("s3://"):
        return read_in_place(source)

    return download(source, folder, _client(client), progress)


def local_path(source: Source) -> Path | None:
    """Return where a recording lies that can be read at once.

    None for one that is to be downloaded, or is a link, of which `fetch` first sees where it leads.
    """
    if source.uri.startswith("s3://"):
        return None
    path = path_of(source.uri)
    return None if path.is_symlink() else path


def _client(client: Callable[[], S3Client] | None) -> S3Client:
    from stenoflow.storage.objects.s3_client import make_client  # noqa: PLC0415 - boto3, as above

    return (client or make_client)()


FetchProgress = Callable[[int], None]
"""Told the bytes that are there so far."""

_CHUNK_BYTES: Final = 1 << 20
# How often one download goes on after its connection broke.
_CONTINUATIONS: Final = 20


def download(source: Source, folder: Path, client: S3Client, progress: FetchProgress) -> Fetched:
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
        make_folder(folder)
        _bring(path, source, client, progress)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found = os.fstat(file.fileno())
        return Fetched(path, sha256, found.st_size, found.st_mtime_ns)


def _bring(path: Path, source: Source, client: S3Client, progress: FetchProgress) -> None:
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
    with open(part, "ab", opener=open_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _complete(file: BinaryIO, source: Source, client: S3Client, progress: FetchProgress) -> None:
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


def _append(file: BinaryIO, source: Source, client: S3Client, progress: FetchProgress) -> None:
    from stenoflow.storage.objects.s3_client import s3_errors  # noqa: PLC0415 - boto3 takes half a second

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
