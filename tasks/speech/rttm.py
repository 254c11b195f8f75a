"""RTTM, the text in which diarisers say who speaks when: a turn a line, times in seconds.

SPEAKER meeting 1 12.34 3.21 <NA> <NA> SPEAKER_00 <NA> <NA>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.speech.turns import Turn

# What else NIST's definition knows; nothing of it says who speaks when.
_OTHER_TYPES = frozenset(
    (
        "SEGMENT",
        "NOSCORE",
        "NO_RT_METADATA",
        "LEXEME",
        "NON-LEX",
        "NON-SPEECH",
        "FILLER",
        "EDIT",
        "IP",
        "SU",
        "CB",
        "A/P",
        "SPKR-INFO",
    )
)
_FIELDS = 8
_SECONDS = re.compile(r"\d{1,9}(\.\d+)?(e[+-]?\d{1,2})?", re.IGNORECASE | re.ASCII)
_LONGEST_NAME = 100


class LineError(ValueError):
    """A line that cannot be read; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Rttm:
    """The turns of a file, by the recording that each line names."""

    turns: dict[str, tuple[Turn, ...]]

    def of(self, name: str, *, alone: bool = True) -> tuple[Turn, ...] | None:
        """Return the turns of a recording; None where there are none of it.

        Args:
            name: what the recording is called, without its ending.
            alone: it is the only recording, so turns of a single one are its, whatever they name.
        """
        if name in self.turns:
            return self.turns[name]
        return next(iter(self.turns.values())) if alone and len(self.turns) == 1 else None


def parse_rttm(text: str) -> Rttm:
    """Read a file.

    Raises:
        LineError: a line is no turn, or there is no turn at all.
    """
    found: dict[str, list[Turn]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";") or fields[0] in _OTHER_TYPES:
            continue
        try:
            found.setdefault(fields[1] if len(fields) > 1 else "", []).extend(_turn(fields))
        except ValueError as error:
            raise LineError(f"line {number}: {error}") from None
    if not any(found.values()):
        raise LineError("it holds no turn of a speaker")
    return Rttm({name: tuple(turns) for name, turns in found.items() if turns})


def _turn(fields: list[str]) -> Iterator[Turn]:
    """Yield the turn of a line; one of no length is none."""
    if fields[0] != "SPEAKER":
        raise ValueError(f"{fields[0][:40]!r} is no type of line that RTTM knows")
    if len(fields) < _FIELDS:
        raise ValueError(f"it has {len(fields)} fields; a turn has at least {_FIELDS}")
    start_ms, duration_ms = _ms(fields[3], "start"), _ms(fields[4], "duration")
    name = fields[7]
    if name == "<NA>" or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{name[:40]!r} names no speaker")
    if duration_ms:
        yield Turn(start_ms, start_ms + duration_ms, name)


def _ms(written: str, what: str) -> int:
    if not _SECONDS.fullmatch(written):
        raise ValueError(f"its {what}, {written[:40]!r}, is no number of seconds")
    return round(float(written) * 1000)
