"""Reading a translation out of what a model answered: lenient in shape, and only for what was asked.

A line that cannot be told to be one of those that were asked for is dropped: text at a wrong time is worse
than asking again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.audio_api.json_in_text import json_in
from tasks.audio_api.lenient import clean

_NUMBER = re.compile(r"\[?\s*([0-9]{1,9})\s*\]?")
_LISTS = ("utterances", "lines", "translations", "segments")


def read_translation(text: str, asked: Sequence[int]) -> dict[int, str]:
    """Return what an answer says of each line; lines of which it says nothing are left out.

    Args:
        text: of the answer: the JSON object, perhaps in a fence or among other words, perhaps cut short.
        asked: the numbers of the lines, in order.
    """
    entries = [(_number(each), _said(each)) for each in _entries(json_in(text))]
    numbers = [number for number, _ in entries]
    if len(entries) == len(asked) and _counts_anew(numbers, asked):
        numbers = list(asked)
    found: dict[int, list[str]] = {}
    for number, (_, text_) in zip(numbers, entries, strict=True):
        # Some copy how a line was shown.
        said = text_.removeprefix(f"[{number}]").lstrip()
        if number is not None and number in asked and said and said not in found.setdefault(number, []):
            found[number].append(said)
    # A line that was divided is whole again.
    return {number: " ".join(parts) for number, parts in found.items() if parts}


def _counts_anew(numbers: Sequence[int | None], asked: Sequence[int]) -> bool:
    """Tell whether a model gave all lines in order, and numbers of its own, or none."""
    if all(number is None for number in numbers):
        return True
    first = numbers[0]
    own = first in {0, 1} and list(numbers) == list(range(first, first + len(numbers)))
    return own and list(numbers) != list(asked)


def _entries(parsed: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(parsed, list):
        yield from (each if isinstance(each, dict) else {"text": each} for each in parsed)
        return
    if not isinstance(parsed, dict):
        return
    listed = next((parsed[name] for name in _LISTS if isinstance(parsed.get(name), list)), None)
    if listed is not None:
        yield from _entries(listed)
    elif len(parsed) == 1 and isinstance(next(iter(parsed.values())), dict | list):
        yield from _entries(next(iter(parsed.values())))
    else:
        # Some answer with the numbers as names.
        yield from ({"line": name, "text": said} for name, said in parsed.items())


def _number(entry: Mapping[str, Any]) -> int | None:
    """Read 12, "12" or "[12]"."""
    given = next((entry[name] for name in ("line", "number", "id") if name in entry), None)
    if isinstance(given, str):
        found = _NUMBER.fullmatch(given.strip())
        return int(found[1]) if found else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _said(entry: Mapping[str, Any]) -> str:
    text = entry.get("text")
    return " ".join(clean(text).split()) if isinstance(text, str) else ""
