"""Which keys are good in every store, so that an object can move from one to another."""

from __future__ import annotations

from typing import Final

from storage.objects.errors import BadKeyError

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
