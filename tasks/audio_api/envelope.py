"""What the body of an error answer says, whichever server wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tasks.redaction import without_queries

_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Complaint:
    """The API's own words on what is wrong; every part may be empty.

    Attributes:
        text: one line, bounded.
        code: machine-readable, such as ``insufficient_quota``.
        param: the form field that is meant.
    """

    text: str = ""
    code: str = ""
    param: str = ""


def read_complaint(body: bytes) -> Complaint:
    """Read an error body: the API's envelope, FastAPI's ``detail``, or a bare ``message``.

    HTML and the like say nothing that a user needs, and give an empty complaint.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return Complaint()
    match parsed:
        case {"error": dict(inner)}:
            return _complaint(inner)
        case {"error": str(text)} | {"detail": str(text)} | {"detail": [{"msg": str(text)}, *_]}:
            return Complaint(one_line(text))
        case dict():
            return _complaint(parsed)
    return Complaint()


def _complaint(envelope: dict[str, Any]) -> Complaint:
    def part(key: str) -> str:
        value = envelope.get(key)
        return one_line(value) if isinstance(value, str) else ""

    return Complaint(part("message"), part("code"), part("param"))


def one_line(text: str) -> str:
    """Return a text fit for a message: one line, printable, bounded, no URL in it lets anybody in."""
    flat = without_queries("".join(sign for sign in " ".join(text.split()) if sign.isprintable()))
    return flat if len(flat) <= _LONGEST_TEXT else flat[: _LONGEST_TEXT - 1] + "…"
