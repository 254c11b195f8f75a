"""Recordings in files: found, and read where they are."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import NotAudioError, RefusedError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources.file_names import (
    display_name,
    is_recording,
    no_recordings,
    remark_on_others,
    shown,
)
from stenoflow.tasks.sources.source import Fetched, Source


def resolve_path(
    path: Path, remark: Callable[[str], None] = lambda _: None, folder: Path | None = None
) -> list[Source]:
    """Return the file, or the recordings in the folder and the folders below it, sorted by path.

    A file is taken whatever its name. In a folder, what turns out to be no readable recording is not left
    out: `read_in_place` says what is wrong with it. Links to files in the folder are followed, those to
    folders are not.

    Args:
        path: the file or the folder.
        remark: told what was passed over.
        folder: out of which no link may lead; None: a file that is named may be a link to anywhere.

    Raises:
        SourceNotFoundError: there is nothing at the path, or no recording in the folder.
        SourceUnreadableError: no permission, a link to nothing, a FIFO, a device.
        NotAudioError: the file is empty.
    """
    with _refusals(path):
        path = _canonical(path)
        if path.is_dir():
            return _in_folder(path, remark)
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
    return [_source(path, size, folder)]


def read_in_place(source: Source) -> Fetched:
    """Hash the file; it stays where it is.

    Raises:
        SourceNotFoundError: it is gone.
        SourceUnreadableError: as in `resolve_path`, or it is a link out of the folder in which it was found,
            or it changed while it was being read.
        NotAudioError: it is empty.
    """
    path = path_of(source.uri)
    with _refusals(path), _opened(path) as file:
        _refuse_outside(source, path, file.fileno())
        before = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceUnreadableError(
            f"{shown(str(path))} changed while it was being read", "try again when it is complete"
        )
    return Fetched(path, sha256, after.st_size, after.st_mtime_ns)


# Of files that were hashed last; who changes one cannot give it the time of change (ctime) that it had.
_hashes: dict[tuple[int, ...], str] = {}
_MOST_HASHES = 1000


def open_recording(path: Path, sha256: str, size: int) -> int | None:
    """Open a file if it is a recording as it was read; returns its descriptor, None where it is not.

    Whoever may write into an inbox may put another file at the name of a recording, or a link to one.

    Args:
        path: where the recording was.
        sha256: of its bytes.
        size: how many they were.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        facts = os.fstat(handle)
        if stat.S_ISREG(facts.st_mode) and facts.st_size == size and _hash_of(handle, facts) == sha256:
            return handle
    except OSError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _hash_of(handle: int, facts: os.stat_result) -> str:
    """Hash an open file; once, as long as nobody changes it."""
    stamp = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    known = _hashes.get(stamp)
    if known is None:
        with os.fdopen(handle, "rb", closefd=False) as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
        if len(_hashes) >= _MOST_HASHES:
            _hashes.clear()
        _hashes[stamp] = known
        # Where a descriptor is opened again by its name, macOS goes on where this one stands.
        os.lseek(handle, 0, os.SEEK_SET)
    return known


def path_of(uri: str) -> Path:
    """Return the path that a ``file://`` URI names, or raise `SourceNotFoundError`."""
    path = uri.partition("://")[2].removeprefix("localhost")
    if not path.startswith("/"):
        raise SourceNotFoundError(f"{shown(uri)} is no absolute path", "give file:///folder/file")
    return Path(os.fsdecode(unquote_to_bytes(os.fsencode(path))))


def _canonical(path: Path) -> Path:
    """Make a path absolute; its last part stays what it is called here, even if that is a link."""
    if path.name in {"", ".."}:
        return path.resolve()
    return path.parent.resolve() / path.name


def source_at(path: Path, folder: Path | None = None) -> Source:
    """Return a file that was found in a folder, whatever is there."""
    return _source(path, _size(path), folder)


def _source(path: Path, size: int, folder: Path | None = None) -> Source:
    return Source(path.as_uri(), display_name(path.name), None, size, folder)


def _in_folder(folder: Path, remark: Callable[[str], None]) -> list[Source]:
    unreadable: list[str] = []
    paths = {str(path.relative_to(folder)): path for path in walk(folder, unreadable)}
    for each in unreadable:
        remark(unreadable_folder(each))
    found = [
        source_at(path, folder)
        for name, path in sorted(paths.items(), key=lambda each: each[1])
        if is_recording(name)
    ]
    if not found:
        raise SourceNotFoundError(*no_recordings(str(folder), paths))
    others = remark_on_others(str(folder), paths)
    if others is not None:
        remark(others)
    return found


# What goes through folders, or makes them, may not do so more deeply than functions can call each other.
_MOST_FOLDERS = 100


def walk(folder: Path, unreadable: list[str]) -> Iterator[Path]:
    """Yield what is in a folder and below it but for folders; none that is hidden is entered.

    A folder inside that cannot be read is added to ``unreadable``, with the reason, and the rest is yielded.

    Raises:
        OSError: the folder itself cannot be read.
    """
    left = [folder]
    while left:
        inside = left.pop()
        if len(inside.parts) - len(folder.parts) > _MOST_FOLDERS:
            unreadable.append(f"{inside}: it lies in more than {_MOST_FOLDERS} others")
            continue
        try:
            with os.scandir(inside) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        yield Path(entry.path)
                    elif not entry.name.startswith("."):
                        left.append(Path(entry.path))
        except OSError as error:
            if inside == folder:
                raise
            if not isinstance(error, FileNotFoundError):  # removed meanwhile
                unreadable.append(f"{inside}: {plain_reason(error)}")


def unreadable_folder(described: str) -> str:
    """Say that a folder that `walk` could not read is passed over."""
    return f"cannot read the folder {shown(described)}; what is in it is passed over"


def _size(path: Path) -> int:
    """Return the size of a regular file; 0 for what is none."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file that holds something; never a FIFO or a device, which could hang."""
    _refuse_other_than_file(path, path.stat().st_mode)
    # Not waiting for a writer even if a FIFO has taken the file's place since.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        _refuse_other_than_file(path, found.st_mode)
        if found.st_size == 0:
            raise NotAudioError(f"{shown(str(path))} is empty: it has 0 bytes")
        yield file


def _refuse_other_than_file(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise SourceUnreadableError(f"{shown(str(path))} is {kind}, not a file")


def _refuse_outside(source: Source, path: Path, handle: int) -> None:
    """Refuse what a link leads to outside the folder: who may write into it may not read everything."""
    if source.folder is None:
        return
    # What is open is asked, not the link, which may lead elsewhere by now.
    descriptor = Path(f"/proc/self/fd/{handle}")
    truly = (descriptor if descriptor.exists() else path).resolve()
    if not truly.is_relative_to(source.folder.resolve()):
        raise SourceUnreadableError(
            f"{shown(str(path))} is a link out of its folder", "name the file itself to take it"
        )


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Raise ours for the operating system's errors."""
    try:
        yield
    except (ValueError, RuntimeError) as error:  # a NUL in the path; links in a circle
        raise SourceNotFoundError(f"no such file or folder: {shown(str(path))}") from error
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> RefusedError:
    name = shown(str(path))
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return SourceUnreadableError(f"{name} is a link to nothing", "mend the link, or name the file itself")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) or error.errno == errno.ENAMETOOLONG:
        return SourceNotFoundError(f"no such file or folder: {name}")
    reason = plain_reason(error)
    if isinstance(error, PermissionError) and error.filename:
        name = shown(os.fsdecode(error.filename))  # in a folder, which one
    return SourceUnreadableError(f"cannot read {name}: {reason}")
