"""A drop folder on this machine."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import SettingsError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources.file_names import is_hidden, is_recording, shown
from stenoflow.tasks.sources.inbox.entry import Entry, InboxSnapshot, WriteState, beside
from stenoflow.tasks.sources.inbox.moving import REASON, free_names, renamed, sidecars
from stenoflow.tasks.sources.local import path_of, source_at, walk

_log = logging.getLogger(__name__)

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class FolderInbox:
    """A folder into which recordings are dropped.

    Attributes:
        folder: absolute.
    """

    folder: Path

    @property
    def address(self) -> str:
        """What it is called."""
        return self.folder.as_uri()

    def check(self) -> None:
        """Raise unless it can be looked into now. Raises as `look`."""
        with self._refusals(), os.scandir(self.folder):
            pass

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        name = shown(str(self.folder))
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceNotFoundError(f"there is no folder {name}", "make it, or name another") from error
        except OSError as error:
            reason = plain_reason(error)
            raise SourceUnreadableError(f"cannot look into {name}: {reason}") from error

    def look(self) -> InboxSnapshot:
        """Return what is there now.

        Raises:
            SourceNotFoundError, SourceUnreadableError: there is no such folder, or it may not be read.
        """
        unreadable: list[str] = []
        with self._refusals():
            found = {self._relative(path): path for path in walk(self.folder, unreadable)}
        recordings = sorted(filter(is_recording, found))
        others = {path: _mark(found[path]) for path in found.keys() - set(recordings)}
        linked = sorted(path for path in others if not is_hidden(path) and _is_linked_folder(found[path]))
        return InboxSnapshot(
            tuple(self._entries(recordings, others)), others, tuple(linked), tuple(unreadable)
        )

    def changes(self, stopped: threading.Event) -> Iterator[None]:
        """Yield when something in it changes, as the system says; nothing where it cannot be asked."""
        from watchfiles import watch  # noqa: PLC0415 - for a watch alone

        try:
            for _ in watch(
                self.folder,
                watch_filter=None,
                stop_event=stopped,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                yield
        except OSError as error:  # gone, or more folders than the system watches
            _log.warning("changes in %s cannot be followed, and are looked for: %s", self.folder, error)

    def find(self, uri: str) -> Entry | None:
        """Return the recording at an address, complete or not; None where it is gone or lies elsewhere."""
        path = path_of(uri)
        if not path.is_relative_to(self.folder) or ".." in path.parts or not path.is_file():
            return None
        relative = self._relative(path)
        return Entry(relative, source_at(path, self.folder), _mark(path), WriteState.UNKNOWN)

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return the beginning of a small file; None if there is none.

        Raises OSError, for a link and what is no file, too.
        """
        try:
            handle = os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            return file.read(most_bytes)

    def reject(self, entry: Entry, reason: str) -> str:
        """Move a recording to the folder ``rejected`` beside the inbox, with the reason in a file beside it.

        Returns:
            Where it is now.

        Raises:
            SourceUnreadableError: it is not the same any more.
        """
        target = self._move(entry, self.folder.parent / "rejected")
        with (
            suppress(FileExistsError),
            target.with_name(target.name + REASON).open("x", encoding="utf-8") as file,
        ):
            file.write(f"{reason}\n")
        return str(target)

    def check_place(self, place: str) -> None:
        """Raise SettingsError unless recordings can be moved to a place."""
        if place.lower().startswith("s3://"):
            raise SettingsError(f"recordings of a folder cannot be moved to {place}", "name a folder")
        folder = _folder_of(place).resolve()
        if folder.is_relative_to(self.folder):
            raise SettingsError(f"{place} lies in the inbox", "name a folder outside it")
        if folder.exists() and not folder.is_dir():
            raise SettingsError(f"{place} is a file, and recordings are moved to a folder", "name a folder")

    def put_away(self, entry: Entry, place: str) -> str:
        """Move a recording to a folder outside the inbox; returns where it is now. Raises as `reject`."""
        return str(self._move(entry, _folder_of(place).absolute()))

    def remove(self, entry: Entry) -> None:
        """Delete a recording, with what belongs to it. Raises as `reject`."""
        along = self._along(entry)
        for path in [entry.path, *along]:
            (self.folder / path).unlink(missing_ok=True)

    def _along(self, entry: Entry) -> dict[str, str]:
        """Return what goes along with a recording, if that is what it was; see `sidecars`."""
        source = self.folder / entry.path
        if _mark(source) != entry.mark:
            raise SourceUnreadableError(
                f"{shown(entry.path)} is not the same any more, and stays where it is"
            )
        with os.scandir(source.parent) as found:
            return sidecars(entry.path, {self._relative(Path(each.path)) for each in found})

    def _move(self, entry: Entry, to: Path) -> Path:
        """Move a recording, with what belongs to it, to a name below a folder that nothing has yet."""
        source, along = self.folder / entry.path, self._along(entry)
        for name in free_names(entry.path, self.folder.name, entry.hash):
            targets = [to / renamed(name, addition) for addition in along.values()]
            if any(map(os.path.lexists, [to / name, to / f"{name}{REASON}", *targets])):
                continue
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                _move_file(source, to / name)
            except FileExistsError:
                continue
            for sidecar, target in zip(along, targets, strict=True):
                # Somebody's own, of that very moment, is not replaced; ours stays in the inbox.
                with suppress(FileExistsError, FileNotFoundError):
                    _move_file(self.folder / sidecar, target)
            return to / name
        raise AssertionError("names do not end")

    def _entries(self, recordings: list[str], others: dict[str, str]) -> Iterator[Entry]:
        for relative in recordings:
            path = self.folder / relative
            yield Entry(
                relative, source_at(path, self.folder), _mark(path), _write_state(path, relative, others)
            )

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def _folder_of(place: str) -> Path:
    return path_of(place) if place.lower().startswith("file://") else Path(place)


def _move_file(source: Path, target: Path) -> None:
    """Move a file. Raises FileExistsError where there is something, whoever put it there last."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy_file(source, target)
    source.unlink()


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file to another file system, whole or not at all, and never over something."""
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    with source.open("rb") as file, target.open("xb") as copy:
        try:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
            shutil.copystat(source, target)
        except BaseException:
            target.unlink()
            raise


def _is_linked_folder(path: Path) -> bool:
    return path.is_symlink() and path.is_dir()


def _write_state(path: Path, relative: str, others: dict[str, str]) -> WriteState:
    if any(marker in others for marker in beside(relative, ".done")):
        return WriteState.WHOLE
    return WriteState.OPEN if _is_open_for_writing(path) else WriteState.UNKNOWN


def _mark(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return "gone"
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _is_open_for_writing(path: Path) -> bool:
    """Tell whether a program of this machine is known to have a file open for writing.

    Linux grants a lease for reading only where nobody has; to who owns the file, or may take any.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        # Who opens it meanwhile has a signal sent to us, which by default would end us; this one is ignored.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(handle)
