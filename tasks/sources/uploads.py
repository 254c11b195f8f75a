"""Recordings that were sent in by a browser, in parts: kept in the home, or in the bucket of the store."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stenoflow.storage.objects import ObjectStore
from stenoflow.storage.objects.local import file_errors
from stenoflow.storage.private import make_folder, write_private
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.sources.file_names import display_name, is_recording

FOLDER = "uploads"
MOST_BYTES = 1 << 40
"""No recording is larger than that."""
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PART, _FACTS = ".part", ".json"


class UploadError(RefusedError):
    """An upload cannot go on."""

    kind = "upload"


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording that comes in.

    Attributes:
        size: bytes, in all.
        received: of which are here.
        options: what was said of it, as an inbox's.
        source: its address once it is whole; None before.
    """

    id: str
    name: str
    size: int
    received: int
    options: dict[str, Any]
    source: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here."""
        return self.received == self.size


class Uploads:
    """The uploads of a home.

    Args:
        home: our own, in which parts are kept until they are whole.
        store: where whole ones go, if it is a bucket: workers on other machines read it from there.
    """

    def __init__(self, home: Path, store: ObjectStore) -> None:
        self._folder = home / FOLDER
        self._store = store

    def begin(self, name: str, size: int, options: dict[str, Any]) -> Upload:
        """Begin an upload.

        Raises:
            UploadError: it is empty or too large, or its name is not that of a recording.
        """
        shown = display_name(name.replace("\\", "/"))
        if size <= 0:
            raise UploadError(f"{shown} is empty")
        if size > MOST_BYTES:
            raise UploadError(f"{shown} is larger than any recording")
        if not is_recording(shown):
            raise UploadError(f"{shown} is not called as a recording is", "name it .m4a, .mp3, .wav, …")
        upload = Upload(secrets.token_hex(16), shown, size, 0, options)
        folder = self._folder / upload.id
        with file_errors("write", folder):
            make_folder(folder)
            self._write(upload, None)
            (folder / _PART).touch(0o600)
        return upload

    def find(self, upload_id: str) -> Upload:
        """Return an upload. Raises UploadError where there is none."""
        folder = self._folder / upload_id
        try:
            facts = json.loads((folder / _FACTS).read_text("utf-8")) if _ID.fullmatch(upload_id) else None
        except (OSError, ValueError):
            facts = None
        if facts is None:
            raise UploadError("there is no such upload", "send the file again")
        part = folder / _PART
        received = facts["size"] if facts["source"] else part.stat().st_size if part.exists() else 0
        return Upload(upload_id, facts["name"], facts["size"], received, facts["options"], facts["source"])

    @contextmanager
    def appending(self, upload: Upload, offset: int) -> Iterator[BinaryIO]:
        """Open an upload to append to it, at the place that the sender believes to be its end.

        Raises:
            UploadError: it ends elsewhere: the sender asks where, and goes on from there; or somebody else is
                appending to it.
        """
        path = self._folder / upload.id / _PART
        with file_errors("write", path), path.open("ab") as file:
            try:
                # Two parts at once would lie in each other.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadError(f"another part of {upload.name} is coming in") from None
            if file.tell() != offset or upload.source is not None:
                raise UploadError(f"{upload.name} is here up to {file.tell()}, not {offset}")
            yield file

    def finish(self, upload: Upload) -> Upload:
        """Put a whole upload where recordings are read from.

        Raises:
            UploadError: parts of it are missing.
            ObjectStoreError: the bucket refused.
        """
        if upload.source is not None:
            return upload
        if not upload.is_whole:
            raise UploadError(f"of {upload.name}, {upload.received} of {upload.size} bytes are here")
        folder = self._folder / upload.id
        key = f"{FOLDER}/{upload.id}/{upload.name}"
        if self._store.uri(key).startswith("s3://"):
            self._store.put_file(key, folder / _PART)
            source = self._store.uri(key)
            (folder / _PART).unlink()
        else:
            (folder / _PART).replace(folder / upload.name)
            source = (folder / upload.name).as_uri()
        self._write(upload, source)
        return self.find(upload.id)

    def discard(self, upload: Upload) -> None:
        """Delete an upload."""
        self.erase(upload.source or "")
        shutil.rmtree(self._folder / upload.id, ignore_errors=True)

    def has(self, source: str) -> bool:
        """Tell whether an address is that of an upload that is here."""
        upload_id = self._id_in(source)
        return upload_id is not None and (self._folder / upload_id).exists()

    def erase(self, source: str) -> bool:
        """Delete what was uploaded to an address; False where that is no upload's: it is a user's own."""
        upload_id = self._id_in(source)
        if upload_id is None:
            return False
        if source.startswith(self._in_bucket):
            self._store.erase(f"{FOLDER}/{upload_id}/")
        shutil.rmtree(self._folder / upload_id, ignore_errors=True)
        return True

    @property
    def _in_bucket(self) -> str:
        return self._store.uri(f"{FOLDER}/x").removesuffix("x")

    def _id_in(self, source: str) -> str | None:
        """Return the id of the upload that an address is of; None where it is none's."""
        for start in (f"{self._folder.as_uri()}/", self._in_bucket):
            upload_id, slash, _ = source.removeprefix(start).partition("/")
            if source.startswith(start) and slash and _ID.fullmatch(upload_id):
                return upload_id
        return None

    def _write(self, upload: Upload, source: str | None) -> None:
        facts = {"name": upload.name, "size": upload.size, "options": upload.options, "source": source}
        write_private(self._folder / upload.id / _FACTS, json.dumps(facts))
