"""Fetching the models that tell voices apart: resumable, and checked before anything is put in its place."""

from __future__ import annotations

import asyncio
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.file_hashes import file_sha256
from stenoflow.storage.objects.local import file_errors
from stenoflow.storage.private import make_folder
from stenoflow.tasks.acoustics.voice_models import ModelFile, VoiceModel
from stenoflow.tasks.api.network import open_http
from stenoflow.tasks.errors import ModelUnavailableError

# How often one download goes on after its connection broke.
_CONTINUATIONS = 10
_TIMEOUT = httpx.Timeout(60.0, connect=20.0)
_CHUNK_BYTES = 1 << 20
# The largest model that is known has 80 MB.
_MOST_BYTES = 2 << 30

# What the readers of archives raise for what is damaged, encrypted, or packed in ways that they do not know.
_DAMAGED = (
    KeyError,
    ValueError,
    EOFError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)

DownloadProgress = Callable[[str, int], None]
"""Told what is fetched, and how many bytes of it are there."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that is in its place; ``was_known``: its sha256 was, and is the same."""

    path: Path
    sha256: str
    was_known: bool


def fetch_model(
    model: VoiceModel, folder: Path, progress: DownloadProgress = lambda *_: None
) -> list[FetchedFile]:
    """Fetch what a model lacks in its folder; what is there and whole stays.

    Raises:
        ModelUnavailableError: a file cannot be had, or is not what it should be; what came of it stays, so
            that the next fetch goes on.
        DiskFullError, ObjectStoreError: it cannot be written.
    """
    place = folder / model.name
    fetched = []
    for file in model.files:
        path = place / file.name
        with file_errors("write", path):
            make_folder(place)
            if not path.is_file():
                _bring(file, path, progress)
            sha256 = file_sha256(path)
        if file.sha256 not in {None, sha256}:
            raise ModelUnavailableError(
                f"{path} is not the file that it should be: its sha256 is {sha256}",
                "delete it, and fetch again",
            )
        fetched.append(FetchedFile(path, sha256, file.sha256 is not None))
    return fetched


def _bring(file: ModelFile, path: Path, progress: DownloadProgress) -> None:
    part = path.with_name(f"{path.name}.part")
    for _ in range(_CONTINUATIONS):
        before = _size(part)
        try:
            asyncio.run(_download(file.url, part, before, lambda size: progress(file.name, size)))
            break
        except httpx.HTTPError as error:
            # Without a byte more, there is no sense in going on.
            if _size(part) <= before:
                raise _unreachable(file, path, error) from error
    else:
        raise _unreachable(file, path, None)
    expected = file.archive_sha256 if file.member is not None else file.sha256
    if expected is not None and file_sha256(part) != expected:
        part.unlink()
        raise ModelUnavailableError(
            f"what {file.url} has is not what it should be: its sha256 differs", "nothing of it was kept"
        )
    if file.member is None:
        part.replace(path)
        return
    whole = path.with_name(f"{path.name}.new")
    try:
        _unpack(part, file.member, whole)
        if file.sha256 is not None and file_sha256(whole) != file.sha256:
            raise ModelUnavailableError(f"{file.member} in {file.url} is not what it should be")
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
    part.unlink()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _download(url: str, part: Path, begun: int, progress: Callable[[int], None]) -> None:
    """Append to a file what it lacks of what lies at an address; ``begun``: bytes that are there."""
    headers = {"range": f"bytes={begun}-"} if begun else {}
    async with (
        open_http(url, follow_redirects=True, timeout=_TIMEOUT) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if begun and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            # All of it is here; its hash will tell.
            return
        answer.raise_for_status()
        if not is_as_safe(url, [str(each.url) for each in (*answer.history, answer)]):
            raise ModelUnavailableError(f"{url} leads on to an address that anybody could answer for")
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if goes_on else "wb") as out:
            async for chunk in answer.aiter_bytes(_CHUNK_BYTES):
                out.write(chunk)
                progress(out.tell())
                if out.tell() > _MOST_BYTES:
                    raise ModelUnavailableError(f"{url} gives more than {_MOST_BYTES >> 30} GB")
            os.fsync(out.fileno())


def is_as_safe(url: str, hops: Sequence[str]) -> bool:
    """Tell whether redirects kept what an address promises: by https, to nothing that is not encrypted."""
    return not url.startswith("https://") or all(each.startswith("https://") for each in hops)


def _copy(packed: IO[bytes], out: Path) -> None:
    """Write what is packed; a small archive may hold what no disk does."""
    size = 0
    with out.open("wb") as written:
        while part := packed.read(_CHUNK_BYTES):
            size += len(part)
            if size > _MOST_BYTES:
                raise ModelUnavailableError(f"{out.stem} is packed to more than {_MOST_BYTES >> 30} GB")
            written.write(part)


def _unpack(archive: Path, member: str, out: Path) -> None:
    """Write one file of a zip or tar archive; the name comes from our table, not from the archive."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed, packed.open(member) as file:
                _copy(file, out)
            return
        with tarfile.open(archive) as tar:
            entry = tar.getmember(member)
            unpacked = tar.extractfile(entry) if entry.isreg() else None
            if unpacked is None:
                raise KeyError(member)
            _copy(unpacked, out)
    except _DAMAGED as error:
        archive.unlink(missing_ok=True)
        raise ModelUnavailableError(f"{archive.name} holds no {member}: {error}") from error


def _unreachable(file: ModelFile, path: Path, error: Exception | None) -> StenoflowError:
    why = f": {error}" if error is not None and str(error) else ""
    member = "" if file.member is None else f" (from it, {file.member})"
    return ModelUnavailableError(
        f"{file.url} cannot be fetched{why}",
        f"fetch it elsewhere{member}, and put it there as {path}",
    )
