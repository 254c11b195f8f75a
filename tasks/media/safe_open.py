"""Opening a recording once, so that whatever reads it reads the same file.

A program gets our open descriptor and no name: a name that is made to point elsewhere meanwhile changes
nothing, and no part of a name can be taken for an option, a pattern or a protocol.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import NotAudioError, RefusedError, SourceNotFoundError, SourceUnreadableError
from stenoflow.tasks.media.ffmpeg_arguments import file_url

COPY_AGAIN = "copy or record it again; it may have been cut off"

Stamp = tuple[int, int]
"""A file's size in bytes and the time of its last change in ns; enough to tell that it was written to."""

_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file that is open for reading and not empty.

    Attributes:
        handle: its descriptor, for the programs that read it.
        path: what it was opened by.
        stamp: its size in bytes, and when it was last written to in ns, when it was opened.
    """

    handle: int
    path: Path
    stamp: Stamp

    @property
    def name(self) -> str:
        """What it is called, for people."""
        return shown(self.path)

    @property
    def url(self) -> str:
        """What a program that inherits the descriptor calls it."""
        # Without /proc (macOS) two readers of one descriptor would share their place in it.
        path = _DESCRIPTORS / str(self.handle) if _DESCRIPTORS.is_dir() else self.path
        return file_url(path)

    def check_unchanged(self, since: Stamp | None = None) -> None:
        """Raise SourceUnreadableError if it was written to since it was opened, or had another stamp."""
        if _stamp(os.fstat(self.handle)) != (since or self.stamp):
            raise SourceUnreadableError(
                f"{self.name} changed while it was being read", "try again when it is complete"
            )


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a recording for as long as the block lasts.

    Raises:
        SourceNotFoundError: there is no such file.
        SourceUnreadableError: it may not be read, or is no regular file: a pipe is not waited for.
        NotAudioError: it is empty.
    """
    try:
        # O_NONBLOCK: opening a named pipe would wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise SourceUnreadableError(f"{shown(path)} is not a regular file")
        if not facts.st_size:
            raise NotAudioError(f"{shown(path)} is empty", COPY_AGAIN)
        yield Opened(handle, path, _stamp(facts))
    finally:
        os.close(handle)


def _stamp(facts: os.stat_result) -> Stamp:
    return facts.st_size, facts.st_mtime_ns


def _unreadable(path: Path, error: OSError) -> RefusedError:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return SourceNotFoundError(f"{shown(path)} does not exist")
    reason = plain_reason(error)
    hint = f"let this user read it: chmod u+r {shown(path)}" if error.errno == errno.EACCES else ""
    return SourceUnreadableError(f"{shown(path)} cannot be read: {reason}", hint)


_LONGEST = 120


def shown(path: Path) -> str:
    """Return the file's name as one printable line, whatever bytes it is made of."""
    name = path.name.encode(errors="replace").decode()
    printable = "".join(char if char.isprintable() else "?" for char in name)
    return printable if len(printable) <= _LONGEST else f"{printable[:_LONGEST]}..."
