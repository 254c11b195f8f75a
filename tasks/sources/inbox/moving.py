"""Names for what is moved out of a drop folder: never one that is taken, with the files that belong to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count
from pathlib import PurePosixPath

from stenoflow.tasks.sources.file_names import is_recording
from stenoflow.tasks.sources.inbox.entry import beside

REASON = ".reason.txt"
"""Ends the name of the file beside a rejected recording that says why."""
SIDECARS = (".json", ".rttm", ".ics", ".done")
"""End the names of files beside a recording that say something of it."""
# With what is added to it, no longer than file systems take.
_LONGEST_NAME_BYTES = 240


def free_names(path: str, inbox: str, hash_: str) -> Iterator[str]:
    """Yield what a recording may be called where it is moved to, the plainest first, without end.

    Args:
        path: its path below the inbox.
        inbox: the inbox's name, which tells apart what came from several.
        hash_: of its content and address, which tells apart what came from one.
    """
    yield path
    yield _with(path, inbox)
    yield _with(path, f"{inbox} {hash_[:8]}")
    yield from (_with(path, f"{inbox} {hash_[:8]} {number}") for number in count(2))


def sidecars(path: str, there: Collection[str]) -> dict[str, str]:
    """Return the files that belong to a recording, each with what it adds to the recording's new name.

    One that is called after the name without suffix stays where another recording has it, too. The addition
    then begins with a slash, which stands for the new name without suffix.
    """
    stem = _stem(path)
    shares = any(other != path and is_recording(other) and _stem(other) == stem for other in there)
    found = {}
    for suffix in SIDECARS:
        whole, short = beside(path, suffix)
        if whole in there:
            found[whole] = suffix
        if short in there and short != path and not shares:
            found[short] = f"/{suffix}"
    return found


def renamed(new: str, addition: str) -> str:
    """Return what a file is called that belongs to a recording, by the recording's new name."""
    return f"{_stem(new)}{addition[1:]}" if addition.startswith("/") else f"{new}{addition}"


def _stem(path: str) -> str:
    return beside(path, "")[1]


def _with(path: str, addition: str) -> str:
    """Put an addition before a name's suffix, and cut the name to what fits."""
    folder, slash, name = path.rpartition("/")
    suffix = PurePosixPath(name).suffix
    end = f" ({addition}){suffix}".encode(errors="surrogateescape")
    stem = name.removesuffix(suffix).encode(errors="surrogateescape")[: _LONGEST_NAME_BYTES - len(end)]
    return f"{folder}{slash}{(stem + end).decode(errors='surrogateescape')}"
