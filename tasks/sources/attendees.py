"""Attendees: who was invited, as options or an invitation (`.ics`) beside the recording say.

Whoever may drop a recording writes these: names are bounded in length and number, and nothing but text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.sources.file_names import shown
from stenoflow.tasks.sources.inbox.entry import Read, beside

_log = logging.getLogger(__name__)

MOST_ATTENDEES = 100
"""More than are told apart in one recording."""
_LONGEST_NAME = 100
_MOST_BYTES = 256 * 1024
_SUFFIX = ".ics"
# Of these, an invitation has none that speak.
_NO_PEOPLE = frozenset({"ROOM", "RESOURCE"})
_DECLINED = "DECLINED"
_ADDRESSED = re.compile(r'"?([^"<>]*?)"?\s*<([^<>]*)>')


def clean_names(given: Iterable[str]) -> tuple[str, ...]:
    """Return names as they may be shown, each once, in order; what is none is left out."""
    names: dict[str, None] = {}
    for each in given:
        name = _name(each)
        if name and len(name) <= _LONGEST_NAME:
            names.setdefault(name)
        if len(names) == MOST_ATTENDEES:
            break
    return tuple(names)


def _name(written: str) -> str:
    """Read ``Anna Bell``, ``Bell, Anna``, ``Anna Bell <anna@example.org>`` or ``anna.bell@example.org``."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in written[:1000]).split())
    addressed = _ADDRESSED.fullmatch(plain)
    plain = (addressed[1] or addressed[2]) if addressed else plain
    if "@" in plain:
        # An address has no place in a transcript; what stands before its @ may be a name.
        parts = re.split(r"[._]", plain.partition("@")[0])
        return " ".join(part.title() for part in parts) if all(map(str.isalpha, parts)) else ""
    last, comma, first = plain.partition(", ")
    return f"{first} {last}" if comma and last and first and "," not in first else plain


def invited(path: str, read: Read) -> tuple[str, ...]:
    """Return who was invited, by an invitation beside a recording; nobody where it has none that can be read.

    Args:
        path: the recording's, below the inbox.
        read: gives the beginning of a file; None where there is none.
    """
    for place in reversed(beside(path, _SUFFIX)):
        try:
            found = read(place, _MOST_BYTES + 1)
        except (StenoflowError, OSError) as error:
            _log.warning("%s cannot be read, and suggests no names: %s", shown(place), error)
            return ()
        if found is not None:
            return _invited(found, place)
    return ()


def invited_to(recording: Path) -> tuple[str, ...]:
    """Return who was invited, by an invitation beside a recording of this machine."""
    from stenoflow.tasks.sources.inbox.folder import FolderInbox  # noqa: PLC0415 - as it reads what lies there

    return invited(recording.name, FolderInbox(recording.parent).read)


def _invited(data: bytes, place: str) -> tuple[str, ...]:
    if len(data) > _MOST_BYTES:
        _log.warning("%s is larger than %d kB, and suggests no names", shown(place), _MOST_BYTES >> 10)
        return ()
    try:
        from icalendar import Calendar  # noqa: PLC0415 - only where there is an invitation

        people = list(_people(Calendar.from_ical(data)))
    except Exception as error:  # noqa: BLE001 - its parser raises what comes, and what others wrote is no reason to fail
        _log.warning("%s is no invitation that can be read: %s", shown(place), shown(str(error)[:200]))
        return ()
    return clean_names(people)


def _people(calendar: Any) -> Iterator[str]:
    for event in calendar.walk("VEVENT"):
        for property_ in ("ORGANIZER", "ATTENDEE"):
            given = event.get(property_, [])
            for each in given if isinstance(given, list) else [given]:
                kind, answer = (str(each.params.get(name, "")).upper() for name in ("CUTYPE", "PARTSTAT"))
                if kind not in _NO_PEOPLE and answer != _DECLINED:
                    address = re.sub("(?i)^mailto:", "", str(each))
                    name = str(each.params.get("CN", ""))
                    yield name if name and "@" not in name else address
