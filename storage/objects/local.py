"""The object store in a folder: files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from stenoflow.storage.errors import (
    DiskFullError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStoreError,
    StoreAccessError,
)
from stenoflow.storage.objects.contract import OCTETS, TEMPORARY_PREFIX, ObjectInfo, check_key, check_prefix
from stenoflow.storage.private import PRIVATE_FILE, PRIVATE_FOLDER, is_private
from stenoflow.storage.reasons import plain_reason

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# How often a folder may vanish under us, because others remove it when it is empty.
_FOLDER_TRIES: Final = 10


@contextmanager
def atomic_file(path: Path, *, only_if_absent: bool = False) -> Iterator[BinaryIO]:
    """Open a new file for writing; it appears at the path, and on the disk, once the block ends well.

    Missing folders are made. What the block raises leaves the path as it was.

    Args:
        path: where the file shall be.
        only_if_absent: raise rather than replace what is there when the block ends.

    Raises:
        ObjectExistsError: there is something already, with ``only_if_absent``.
        DiskFullError: no space left, or over a quota or size limit.
        StoreAccessError: no permission, or a file system mounted read-only.
        ObjectStoreError: any other error of the file system.
    """
    with file_errors("write", path):
        temporary, file = _create_beside(path)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _put_in_place(temporary, path, only_if_absent=only_if_absent)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


@contextmanager
def file_errors(verb: str, path: Path) -> Iterator[None]:
    """Turn the operating system's errors into ours.

    Args:
        verb: what was tried, for the message: "write", "read".
        path: with which file.
    """
    try:
        yield
    except OSError as error:
        reason = plain_reason(error)
        if error.errno in _FULL:
            raise DiskFullError(f"cannot {verb} {path}: {reason}", "free some space and go on") from error
        if error.errno in _FORBIDDEN:
            raise StoreAccessError(
                f"cannot {verb} {path}: {reason}", f"check who may {verb} there"
            ) from error
        raise ObjectStoreError(f"cannot {verb} {path}: {reason}") from error


def _create_beside(path: Path) -> tuple[Path, BinaryIO]:
    """Create a temporary file in the path's folder, so that the rename stays on one file system."""
    for _ in range(_FOLDER_TRIES):
        _make_folder(path.parent)
        temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        try:
            # Not tempfile's mode 0600: whom the umask and the folder let read, may.
            mode = PRIVATE_FILE if is_private(path.parent) else 0o666
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
            return temporary, os.fdopen(handle, "wb")
        except FileNotFoundError:
            continue
    raise ObjectStoreError(f"cannot write {path}: its folder vanishes again and again")


def _put_in_place(temporary: Path, path: Path, *, only_if_absent: bool) -> None:
    if not only_if_absent:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # unlike a rename, this fails where there is something
    except FileExistsError:
        raise ObjectExistsError(f"there is something already: {path}") from None


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, on the disk too: else a crash could lose the file with them."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(PRIVATE_FOLDER if is_private(folder.parent) else 0o777)
    except (FileExistsError, FileNotFoundError):
        return  # others make and remove it too; opening the file shows what has come of it
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # removed again already, with all that was in it
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_PROBE: Final = "stenoflow-check"
_CHUNK_BYTES: Final = 1 << 20


class LocalStore:
    """An object store in a folder, which is made when the first object comes in.

    Args:
        root: the folder; all of it belongs to the store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def check(self) -> None:
        """Raise unless files can be written: a small one is, and removed."""
        self.put_bytes(_PROBE, b"")
        self.delete(_PROBE)

    def put_file(
        self, key: str, path: Path, *, content_type: str = OCTETS, only_if_absent: bool = False
    ) -> None:
        """Copy a file in; see `ObjectStore.put_file`."""
        del content_type  # a file has none
        with file_errors("read", path):
            source = path.open("rb")
        with source, self._writing(key, only_if_absent=only_if_absent) as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)

    def put_bytes(
        self, key: str, data: bytes, *, content_type: str = OCTETS, only_if_absent: bool = False
    ) -> None:
        """Write bytes; see `ObjectStore.put_bytes`."""
        del content_type
        with self._writing(key, only_if_absent=only_if_absent) as target:
            target.write(data)

    def get_bytes(self, key: str) -> bytes:
        """Return an object's content."""
        with self._reading(key) as source, file_errors("read", self._path(key)):
            return source.read()

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object out; see `ObjectStore.fetch`."""
        with self._reading(key) as source, atomic_file(path) as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)

    def stat(self, key: str) -> ObjectInfo:
        """Return size and etag; the etag changes with the file's time and size."""
        with self._reading(key) as source:
            found = os.fstat(source.fileno())
        return ObjectInfo(key, found.st_size, f"{found.st_mtime_ns:x}-{found.st_size:x}")

    def exists(self, key: str) -> bool:
        """Tell whether there is a file under the key."""
        path = self._path(key)
        with file_errors("read", path):
            try:
                return stat.S_ISREG(path.stat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with the prefix, in order."""
        check_prefix(prefix)
        folder = prefix.rpartition("/")[0]
        return (key for key in self._walk(folder) if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove a file, and the folders that are empty without it."""
        path = self._path(key)
        if not self.exists(key):
            return
        with file_errors("delete", path):
            path.unlink(missing_ok=True)
        self._prune(path.parent)

    def erase(self, prefix: str) -> int:
        """Remove all files whose keys start with the prefix."""
        keys = list(self.list(prefix))
        for key in keys:
            self.delete(key)
        return len(keys)

    def uri(self, key: str) -> str:
        """Return the file's URI, percent-encoded."""
        return self._path(key).as_uri()

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / key

    def _writing(self, key: str, *, only_if_absent: bool) -> AbstractContextManager[BinaryIO]:
        path = self._path(key)
        with file_errors("write", path):
            is_folder = path.is_dir()
        if is_folder:
            raise ObjectStoreError(f"cannot write {path}: it is the folder of other objects")
        return atomic_file(path, only_if_absent=only_if_absent)

    def _reading(self, key: str) -> BinaryIO:
        path = self._path(key)
        with file_errors("read", path):
            try:
                return path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise ObjectNotFoundError(f"no such object: {path}") from None

    def _walk(self, folder: str) -> Iterator[str]:
        """Yield the keys under a folder in code point order, as S3 does."""
        path = self._root / folder
        with file_errors("read", path):
            try:
                found = list(os.scandir(path))
            except (FileNotFoundError, NotADirectoryError):
                return
        start = f"{folder}/" if folder else ""
        # With its slash a folder sorts among the files as its keys do: "a.txt" is before "a/b".
        names = sorted(entry.name + "/" * entry.is_dir() for entry in found)
        for name in names:
            if name.endswith("/"):
                yield from self._walk(start + name[:-1])
            elif not name.startswith(TEMPORARY_PREFIX):
                yield start + name

    def _prune(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or gone already
            folder = folder.parent
