"""Speakers of a job: turns of an RTTM file, and names given later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from stenoflow.tasks.assembly.diarization import store_turns
from stenoflow.tasks.assembly.settings import Speakers
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError, SettingsError
from stenoflow.tasks.sources.inbox.options import unknown_speaker
from stenoflow.tasks.sources.source import shown
from stenoflow.tasks.transcript.speakers import LineError, Rttm, names, parse_rttm

if TYPE_CHECKING:
    # `prepare` imports this module: names can be given when a job is prepared.
    from stenoflow.tasks.jobs.transcribe.prepare import TranscribeRequest

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


def with_turns(
    context: AppContext, wish: TranscribeRequest, rttm: Rttm, recording: str, *, alone: bool
) -> TranscribeRequest:
    """Return a wish with a recording's turns, which are stored.

    Args:
        context: the tools.
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
    key = store_turns(context.ledger, turns)
    return replace(wish, settings=replace(wish.settings, speakers=Speakers.TURNS.value, turns=key))


def _check_names(given: Iterable[str], known: Iterable[str]) -> None:
    there = list(known)
    for name in given:
        if name not in there:
            raise unknown_speaker(name, there)
