"""Hashes of files that are looked at again and again."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal; one that has not changed is read once. Raises OSError."""
    facts = path.stat()
    return _sha256(path, facts.st_size, facts.st_mtime_ns)


@lru_cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Hash a file; size and time of change are there so that a file that has changed is hashed again."""
    del size, changed_ns
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
