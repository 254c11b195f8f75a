"""Recordings in a drop folder as one look shows them, and which of them are complete."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from stenoflow.tasks.sources.source import Source

LOOKS = 2
"""How many looks in a row must find a file unchanged, unless another number is asked for."""
INTERVAL_S = 5.0
"""Seconds between two looks, unless others are asked for: with `LOOKS`, how long a file must rest."""

Read = Callable[[str, int], bytes | None]
"""Returns the beginning of a file in an inbox, by its path, up to so many bytes; None where there is none."""


class WriteState(Enum):
    """What can be told of a file's being whole by looking at it once."""

    WHOLE = "whole"
    """An object (S3 shows none before its upload has ended), or a file with a ``.done`` beside it."""
    OPEN = "open"
    """Some program has it open for writing."""
    UNKNOWN = "unknown"
    """It is whole if it does not change any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording in an inbox.

    Attributes:
        path: below the inbox, with ``/`` between its parts.
        source: where it is.
        mark: changes whenever its content does: size and time of change of a file, ETag of an object.
        write_state: what this look tells.
    """

    path: str
    source: Source
    mark: str
    write_state: WriteState

    @property
    def hash(self) -> str:
        """Of its address and content."""
        return hashlib.sha256(f"{self.source.uri} {self.mark}".encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class InboxSnapshot:
    """An inbox at one moment.

    Attributes:
        entries: the recordings, sorted by path.
        others: the other files by path, with their marks: options and markers.
        linked: paths of folders that are only linked here; what is in them is not looked at.
        unreadable: folders that could not be read, each with the reason.
    """

    entries: tuple[Entry, ...]
    others: Mapping[str, str] = field(default_factory=dict)
    linked: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def beside(path: str, suffix: str) -> tuple[str, str]:
    """Return what a file that belongs to a recording may be called: ``talk.mp3.done`` or ``talk.done``."""
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return f"{path}{suffix}", f"{folder}{slash}{stem}{suffix}"


@dataclass(slots=True)
class StabilityTracker:
    """Remembers how many looks in a row have found a file as it is.

    Attributes:
        looks: how many must, at least 1.
    """

    looks: int
    _seen: dict[str, tuple[str, int]] = field(default_factory=dict)

    def complete(self, look: InboxSnapshot) -> list[Entry]:
        """Take note of a look; returns what is complete, in its order."""
        self._seen = {entry.path: (entry.mark, self._times(entry)) for entry in look.entries}
        return [entry for entry in look.entries if self._is_complete(entry)]

    def _times(self, entry: Entry) -> int:
        if entry.write_state is WriteState.OPEN:
            return 0
        mark, times = self._seen.get(entry.path, (entry.mark, 0))
        return times + 1 if mark == entry.mark else 1

    def _is_complete(self, entry: Entry) -> bool:
        return entry.write_state is WriteState.WHOLE or self._seen[entry.path][1] >= self.looks
