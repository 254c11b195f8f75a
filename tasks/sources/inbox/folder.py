"""A drop folder on this machine."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stenoflow.tasks.errors import SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.sources.inbox.entry import Entry, Snapshot, WriteState, beside
from stenoflow.tasks.sources.local import path_of, source_at, walk
from stenoflow.tasks.sources.source import is_hidden, is_recording, shown

# With what is added to it, no longer than file systems take.
_LONGEST_NAME_BYTES = 240


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

    def look(self) -> Snapshot:
        """Return what is there now.

        Raises:
            SourceNotFoundError, SourceUnreadableError: there is no such folder, or it may not be read.
        """
        try:
            found = {self._relative(path): path for path in walk(self.folder)}
        except FileNotFoundError as error:
            raise SourceNotFoundError(f"there is no folder {shown(str(self.folder))}") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SourceUnreadableError(f"cannot look into {shown(str(self.folder))}: {reason}") from error
        recordings = sorted(path for path in found if is_recording(path))
        others = {path: _mark(found[path]) for path in found if path not in set(recordings)}
        linked = sorted(path for path in others if not is_hidden(path) and _is_linked_folder(found[path]))
        return Snapshot(tuple(self._entries(recordings, others)), others, tuple(linked))

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
        """
        target = self.folder.parent / "rejected" / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.folder / entry.path, target)
        name = os.fsencode(target.name)[:_LONGEST_NAME_BYTES] + b".reason.txt"
        target.with_name(os.fsdecode(name)).write_text(f"{reason}\n", "utf-8")
        return str(target)

    def _entries(self, recordings: list[str], others: dict[str, str]) -> Iterator[Entry]:
        for relative in recordings:
            path = self.folder / relative
            yield Entry(relative, source_at(path, self.folder), _mark(path), _growth(path, relative, others))

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def _is_linked_folder(path: Path) -> bool:
    return path.is_symlink() and path.is_dir()


def _growth(path: Path, relative: str, others: dict[str, str]) -> WriteState:
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
