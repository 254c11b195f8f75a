"""Say in plain words why something of the system or the network failed, in place of a library's words."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
from collections.abc import Iterator

_NUMBER = re.compile(r"\[(?:Errno|SSL)[^\]]*\] ?")
# What libraries say, where the error below it is not at hand.
_SAID = (
    ("All connection attempts failed", "it cannot be reached"),
    ("Name or service not known", "there is no host of that name"),
    ("nodename nor servname provided", "there is no host of that name"),
    ("Temporary failure in name resolution", "the host's name cannot be looked up now"),
    ("No address associated with hostname", "there is no host of that name"),
)


def plain_reason(error: BaseException | str) -> str:
    """Return why something failed, from its error, or from what a library said; never empty."""
    if not isinstance(error, str):
        known = _of_text(error) or system_reason(error)
        if known:
            return known
    text = " ".join(_NUMBER.sub("", str(error)).split())
    for said, plain in _SAID:
        if said in text:
            return plain
    if not text:
        return "it failed without a reason" if isinstance(error, str) else _spelled(type(error).__name__)
    return _begun_small(text)


def system_reason(error: BaseException) -> str:
    """Return what the system says, which knows more than what was raised from it; may be empty."""
    for cause in [*_chain(error)][::-1]:
        if isinstance(cause, socket.gaierror):
            return plain_reason(cause.strerror or "its name cannot be looked up")
        if type(cause).__module__ == "ssl":
            # Its numbers are its own.
            return plain_reason(str(cause).partition(" (_ssl.c")[0])
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return _begun_small(os.strerror(cause.errno))
    return ""


def _of_text(error: BaseException) -> str:
    """Return where a file's text cannot be read; empty where that is not the matter."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is not valid JSON at line {error.lineno}, column {error.colno}"
    # Not loaded for this alone.
    if type(error).__name__ == "TOMLDecodeError":
        found = re.search(r"\(at (line \d+, column \d+)\)", str(error))
        return f"it is not valid TOML at {found[1] if found else 'its end'}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return "it is nested too deep" if isinstance(error, RecursionError) else ""


def _begun_small(text: str) -> str:
    first = text.split(" ", 1)[0]
    # 'SSL' and 'HTTP' stay as they are.
    return text if first.isupper() and len(first) > 1 else text[0].lower() + text[1:]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inside = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = inside or error.__cause__ or error.__context__


def _spelled(name: str) -> str:
    """Write a class's name as words: ``ConnectTimeout`` as ``connect timeout``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
