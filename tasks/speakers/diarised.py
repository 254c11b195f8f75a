"""A diariser's file: read, refused with the number of its bad line, and made part of a recording's wish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tasks.errors import RefusedError, SettingsError
from tasks.intake import Wish
from tasks.job_settings import Speakers
from tasks.sources.naming import shown
from tasks.speakers.names import unknown_speaker
from tasks.speakers.telling_apart import store_turns
from tasks.speech.rttm import LineError, Rttm, parse_rttm
from tasks.speech.turns import names
from tasks.workshop import Workshop

MOST_BYTES = 16 * 1024 * 1024
"""Of an RTTM file: 200,000 turns."""


class NoTurnsError(RefusedError):
    """A diariser's file says nothing of a recording."""

    kind = "turns"


def read_rttm(path: Path) -> Rttm:
    """Read a diariser's file.

    Raises:
        SettingsError: it cannot be read, or a line of it is no turn.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"--speakers {shown(str(path))} cannot be read: {reason}",
            "give none, channels, model, or an RTTM file",
        ) from error
    return parsed_rttm(data, shown(str(path)))


def parsed_rttm(data: bytes, name: str) -> Rttm:
    """Parse a diariser's file. Raises SettingsError, with the number of the line that is no turn."""
    if len(data) > MOST_BYTES:
        raise SettingsError(f"{name} is larger than {MOST_BYTES >> 20} MB, which no RTTM file is")
    try:
        return parse_rttm(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not UTF-8, so no RTTM file") from None
    except LineError as error:
        hint = "a turn reads: SPEAKER NAME 1 START DURATION <NA> <NA> SPEAKER <NA> <NA>"
        raise SettingsError(f"{name}, {error}", hint) from error


def with_turns(workshop: Workshop, wish: Wish, rttm: Rttm, recording: str, *, alone: bool) -> Wish:
    """Return a wish with a recording's turns, which are stored.

    Args:
        workshop: the tools.
        wish: all else that is asked.
        rttm: the diariser's file.
        recording: the recording's name.
        alone: no other recording has its turns in the same file.

    Raises:
        NoTurnsError: the file says nothing of it.
        SettingsError: one of the names is given to a speaker that there is not.
    """
    turns = rttm.of(PurePosixPath(recording).stem, alone=alone)
    if turns is None:
        there = ", ".join(list(rttm.turns)[:5])
        raise NoTurnsError(f"the RTTM file says nothing of {recording}", f"its turns are of {there}")
    _check_names(wish.names, names(turns))
    key = store_turns(workshop.ledger, turns)
    return replace(wish, settings=replace(wish.settings, speakers=Speakers.TURNS.value, turns=key))


def _check_names(given: Iterable[str], known: Iterable[str]) -> None:
    there = list(known)
    for name in given:
        if name not in there:
            raise unknown_speaker(name, there)
