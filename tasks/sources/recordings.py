"""The two steps of coming by a recording: `resolve` what the user gave, then `fetch` each to read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasks.errors import SourceNotFoundError
from tasks.sources.local import path_of, read_in_place, resolve_path
from tasks.sources.source import Fetched, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ACCEPTED: Final = "give a file, a folder, s3://bucket/key, or s3://bucket/prefix/"


def resolve(source: str, client: Callable[[], S3Client] | None = None) -> list[Source]:
    """Return the recordings that a user's argument means; one at least.

    A file or an object is taken whatever its name. A folder, or a prefix (with a slash at its end), means
    all recordings in it and below, sorted: names with a suffix of `MEDIA_SUFFIXES`, but none that are hidden
    or still being written. Whether they are sound is not looked into; one of many that cannot even be read
    is in the list all the same, and `fetch` says why, so that it spoils nothing for the others.

    Args:
        source: a path, a ``file://`` or an ``s3://`` address.
        client: gives the S3 client to use, such as a `storage.objects.s3_client.LazyClient`; otherwise
            one is built where it is needed.

    Raises:
        SourceNotFoundError: there is nothing of the kind there.
        SourceUnreadableError: no permission, a link to nothing, a FIFO, access denied, out of reach.
        NotAudioError: the single file or object is empty.
    """
    match = _SCHEME.match(source)
    scheme = match[1].lower() if match else ""
    if scheme == "s3":
        from tasks.sources.s3 import resolve_s3  # noqa: PLC0415 - boto3 takes half a second to import

        return resolve_s3(source, _client(client))
    if scheme == "file":
        return resolve_path(path_of(source))
    if scheme:  # the address itself may hold a password
        raise SourceNotFoundError(f"recordings are not read from {scheme}:// addresses", _ACCEPTED)
    if not source:
        raise SourceNotFoundError("the name of the recording is empty", _ACCEPTED)
    return resolve_path(Path(source))


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
    from tasks.sources.downloading import download  # noqa: PLC0415 - boto3, as above

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
    from storage.objects.s3_client import make_client  # noqa: PLC0415 - boto3, as above

    return (client or make_client)()
