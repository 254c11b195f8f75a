"""Files in a user's folder: they replace what we wrote there, known by its hash, and nothing else."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from stenoflow.tasks.context import AppContext


@contextmanager
def written_beside(wanted: Path) -> Iterator[Path]:
    """Give the name of a file beside another one, to be written and then put in place; it does not stay."""
    temporary = wanted.with_name(f".stenoflow-{secrets.token_hex(8)}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(
    context: AppContext, temporary: Path, wanted: Path, ending: str, *, job_id: str, source: str | None
) -> Path:
    """Move a file to its name; to another one where something lies that is not ours.

    Args:
        context: the tools.
        temporary: the file, in the same folder.
        wanted: its name.
        ending: of the name, before which a number goes.
        job_id: the job that it was made of.
        source: the address of a recording: only what was made of that is replaced; None: whatever is ours.

    Returns:
        Where it is.

    Raises:
        OSError: it cannot be put there.
    """
    sha256 = sha256_of(temporary)
    context.copies.add(job_id, sha256)
    for path in _names(wanted, ending):
        there = None if _claim(path) else sha256_of(path)
        if there == sha256:
            return path
        if there is None or context.copies.is_of(source, there):
            temporary.replace(path)
            return path
    raise AssertionError("names do not end")


def sha256_of(path: Path) -> str:
    """Return a file's hash; of what is no file, or may not be read, one that nothing has."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _names(wanted: Path, ending: str) -> Iterator[Path]:
    yield wanted
    stem = wanted.name.removesuffix(ending)
    yield from (wanted.with_name(f"{stem}-{number}{ending}") for number in count(2))


def _claim(path: Path) -> bool:
    """Make an empty file; False where there is something."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    return True
