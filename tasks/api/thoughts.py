"""Take out of an answer what a model thinks aloud before it: `<think>…</think>` and its like. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# What begins a thought, and what ends it. One that is begun and not ended goes to the end of the answer.
_MARKS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|channel|>analysis": "<|channel|>final<|message|>",
}
_BEGINS = re.compile("|".join(map(re.escape, _MARKS)), re.IGNORECASE)
_ENDS = {begin: re.compile(re.escape(end), re.IGNORECASE) for begin, end in _MARKS.items()}
_ANY_END = re.compile("|".join(map(re.escape, _MARKS.values())), re.IGNORECASE)
_LONGEST = max(len(mark) for pair in _MARKS.items() for mark in pair)


@dataclass(slots=True)
class ThoughtFilter:
    """Takes an answer piece by piece, and gives what of it is said; a mark may be split between pieces."""

    _held: str = field(default="", init=False)
    _end: re.Pattern[str] | None = field(default=None, init=False)
    _is_before_text: bool = field(default=False, init=False)

    def take(self, piece: str) -> str:
        """Take what follows; returns what is said of all that is known by now."""
        self._held += piece
        said: list[str] = []
        while self._advance(said):
            pass
        return "".join(said)

    def close(self) -> str:
        """Return what was held back in case it began a mark."""
        rest = "" if self._end else self._held
        self._held = ""
        return rest

    def _advance(self, said: list[str]) -> bool:
        """Go on to the next mark; False where the next piece is needed."""
        if self._end is not None:
            end = self._end.search(self._held)
            if end is None:
                self._held = self._held[-_LONGEST:]
                return False
            self._held, self._end, self._is_before_text = self._held[end.end() :], None, True
        if self._is_before_text:
            self._held = self._held.lstrip()
            self._is_before_text = not self._held
        begin = _BEGINS.search(self._held)
        if begin is None:
            safe = len(self._held) - _begun(self._held)
            said.append(self._held[:safe])
            self._held = self._held[safe:]
            return False
        said.append(self._held[: begin.start()])
        self._held, self._end = self._held[begin.end() :], _ENDS[begin[0].lower()]
        return True


def without_thoughts(text: str) -> str:
    """Return a whole answer without what was thought aloud.

    Some servers begin the thought themselves, so that only its end stands in the answer: what is before
    that is no part of it either.
    """
    thoughts = ThoughtFilter()
    said = thoughts.take(text) + thoughts.close()
    ends = list(_ANY_END.finditer(said))
    return said[ends[-1].end() :].lstrip() if ends else said


def _begun(text: str) -> int:
    """Return how many of the last characters may be the beginning of a mark."""
    tail = text[-_LONGEST:].lower()
    return next(
        (
            length
            for length in range(len(tail), 0, -1)
            if any(mark.startswith(tail[-length:]) for mark in _MARKS)
        ),
        0,
    )
