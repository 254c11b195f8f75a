"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from stenoflow.storage.errors import DiskFullError, ObjectExistsError, ObjectStoreError, StoreAccessError
from stenoflow.storage.objects.contract import TEMPORARY_PREFIX

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
        reason = (error.strerror or str(error)).lower()
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
            # Not tempfile's mode 0600: whom the umask lets read, may.
            return temporary, temporary.open("xb")
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
        folder.mkdir()
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
