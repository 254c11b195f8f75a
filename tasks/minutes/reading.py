"""Reading minutes out of what a model answered: lenient in shape, and nothing in it is taken on trust.

Whatever the answer says, what comes out is a bounded number of short plain lines, each of which refers to a
line that the model was shown, or to none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.audio_api.json_in_text import json_in
from tasks.audio_api.lenient import clean
from tasks.minutes.minutes import SECTIONS, Minutes, Point

_MOST_POINTS = 200
_LONGEST_TEXT = 600
_LONGEST_NAME = 100
_NUMBER = re.compile(r"\d{1,9}")
_NOBODY = {"", "null", "none", "n/a", "unknown", "-"}
# Marks that change how what follows is shown: a text could be made to look like another.
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def read_minutes(text: str, moments: Mapping[int, int]) -> Minutes | None:
    """Read an answer.

    Args:
        text: of the answer: the JSON object, perhaps in a fence or among other words, perhaps cut short.
        moments: when each line begins that the model was shown, by its number; in ms.

    Returns:
        The minutes; None where the answer has none of their sections.
    """
    found = _sections(json_in(text))
    if found is None:
        return None
    return Minutes(*(_points(found.get(name), moments) for name in SECTIONS))


def _sections(parsed: Any) -> Mapping[str, Any] | None:
    """Return what holds the sections: the object itself, or the only one in it."""
    if not isinstance(parsed, dict):
        return None
    if any(name in parsed for name in SECTIONS):
        return parsed
    inner = list(parsed.values())
    return _sections(inner[0]) if len(inner) == 1 and isinstance(inner[0], dict) else None


def _points(given: Any, moments: Mapping[int, int]) -> tuple[Point, ...]:
    listed = given if isinstance(given, list) else [given]
    points = [_point(each, moments) for each in listed[:_MOST_POINTS]]
    return tuple(dict.fromkeys(point for point in points if point is not None))


def _point(given: Any, moments: Mapping[int, int]) -> Point | None:
    entry: Mapping[str, Any] = given if isinstance(given, dict) else {"text": given}
    text = _plain(entry.get("text"), _LONGEST_TEXT)
    if not text:
        return None
    line = _number(entry.get("line"))
    at_ms = None if line is None else moments.get(line)
    return Point(
        text,
        None if at_ms is None else line,
        at_ms,
        owner=_name(entry.get("owner")),
        due=_name(entry.get("due")),
    )


def _number(given: Any) -> int | None:
    """Read 12, "12" or "[12]"."""
    if isinstance(given, str):
        found = _NUMBER.search(given)
        return int(found.group()) if found and found.group().isascii() else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _name(given: Any) -> str | None:
    name = _plain(given, _LONGEST_NAME)
    return None if name.lower() in _NOBODY else name


def _plain(given: Any, longest: int) -> str:
    """Return a text as one line of what can be seen, bounded; empty where it is none."""
    if not isinstance(given, str):
        return ""
    shown = "".join(sign if sign.isprintable() else " " for sign in _UNSEEN.sub("", clean(given)))
    flat = " ".join(shown.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
