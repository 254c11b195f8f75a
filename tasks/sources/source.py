"""A source: where a recording is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """Where a recording is.

    Attributes:
        uri: its address: ``file:///…`` (absolute, percent-encoded, so plain ASCII) or ``s3://bucket/key``
            (not encoded). `resolve` takes it back.
        name: the last part of its address, fit to be shown and to name files after; not always the true name.
        version: which revision of the object it is (S3's ETag); None for files, and where a server has none.
        size: bytes; 0 also where nothing could be learnt, which `fetch` then explains.
        folder: the folder that it was found in, and must lie in; None for a file that was named itself.
    """

    uri: str
    name: str
    version: str | None
    size: int
    folder: Path | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A recording that can be read as a file.

    Attributes:
        path: the file: the source itself where that is local, else a copy of ours.
        sha256: of its content, hexadecimal.
        size: bytes.
        changed_ns: when it was last written to.
    """

    path: Path
    sha256: str
    size: int
    changed_ns: int

    @property
    def stamp(self) -> tuple[int, int]:
        """Tells later whether it is still the file that was hashed."""
        return self.size, self.changed_ns
