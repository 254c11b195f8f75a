"""The contract of every object store; `tests/storage/objects` holds each provider to it.

Keys are ``/``-separated and relative (`check_key` has the rules), and no key is the folder of
another. An object is there whole or not at all: a put that fails midway leaves nothing under its key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from stenoflow.storage.errors import BadKeyError

OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store knows of an object without reading it.

    Attributes:
        key: the object's key in its store.
        size: bytes.
        etag: opaque; another one means that the content may have changed. Empty where a server has none.
    """

    key: str
    size: int
    etag: str


class ObjectStore(Protocol):
    """A place for objects by key. Safe to share between threads.

    Every method raises `stenoflow.storage.errors.BadKeyError` for a key against the rules,
    `StoreAccessError` where access is refused, `StoreUnavailableError` where trying again later may help,
    and plain `stenoflow.storage.errors.ObjectStoreError` for the rest.
    """

    def check(self) -> None:
        """Raise unless the store is there and may be used. Meant for before any money is spent."""

    def put_file(
        self, key: str, path: Path, *, content_type: str = OCTETS, only_if_absent: bool = False
    ) -> None:
        """Store a file's content under the key, in place of what was there.

        Args:
            key: where to.
            path: the file; it must not change meanwhile.
            content_type: MIME type, for stores that serve their objects.
            only_if_absent: raise `ObjectExistsError` rather than replace. Stores decide that at the moment
                of storing, so of several at once one wins.

        Raises:
            ObjectExistsError: the key is taken, with ``only_if_absent``.
            DiskFullError: there is no space left.
        """

    def put_bytes(
        self, key: str, data: bytes, *, content_type: str = OCTETS, only_if_absent: bool = False
    ) -> None:
        """Store bytes under the key; otherwise like `put_file`."""

    def get_bytes(self, key: str) -> bytes:
        """Return an object's content, or raise `ObjectNotFoundError`."""

    def fetch(self, key: str, path: Path) -> None:
        """Write an object's content to a file, whole or not at all.

        Raises:
            ObjectNotFoundError: there is no such object.
            DiskFullError: there is no space left for the file.
        """

    def stat(self, key: str) -> ObjectInfo:
        """Return size and etag, or raise `ObjectNotFoundError`."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under the key."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with the prefix, which may end midway in a name.

        They come in code point order, but from servers that keep folders, such as SeaweedFS: those list what
        is in a folder where the folder stands.
        """

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none."""

    def erase(self, prefix: str) -> int:
        """Remove every object whose key starts with the prefix, and all versions that a store keeps of it.

        Returns:
            How many objects and versions there were.
        """

    def uri(self, key: str) -> str:
        """Return the address to show and record: ``file:///…`` or ``s3://bucket/…``."""


# S3's own bound on a key, and the usual bound of file systems on a name.
_LONGEST_KEY_BYTES: Final = 1024
_LONGEST_NAME_BYTES: Final = 255

TEMPORARY_PREFIX: Final = ".stenoflow-"
"""How names of files still being written begin; kept out of keys, and out of listings."""


def check_key(key: str) -> None:
    """Raise `BadKeyError` unless the key may be used in any store."""
    problem = _problem(key)
    if problem:
        raise BadKeyError(f"the key {key!r} {problem}")


def check_prefix(prefix: str) -> None:
    """Raise `BadKeyError` unless keys could start with the prefix; an empty one is good."""
    folder, slash, start = prefix.rpartition("/")
    if slash:
        check_key(folder)
    if "\0" in start:
        raise BadKeyError(f"the prefix {prefix!r} holds a NUL")


def _problem(key: str) -> str:
    """Say what is wrong with the key; an empty text where nothing is."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return "is not Unicode text"
    names = encoded.split(b"/")
    rules = {
        f"is longer than {_LONGEST_KEY_BYTES} bytes": len(encoded) > _LONGEST_KEY_BYTES,
        "holds a control character": any(byte < 0x20 or byte == 0x7F for byte in encoded),
        "is empty, or has an empty part": not all(names),
        "has a part . or ..": not {b".", b".."}.isdisjoint(names),
        f"has a part longer than {_LONGEST_NAME_BYTES} bytes": max(map(len, names)) > _LONGEST_NAME_BYTES,
        f"has a part that begins with {TEMPORARY_PREFIX}": any(
            name.startswith(TEMPORARY_PREFIX.encode()) for name in names
        ),
    }
    return next((problem for problem, holds in rules.items() if holds), "")
