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
    "<seed:think>": "</seed:think>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel|>analysis": "<|channel|>final<|message|>",
}
_ALL = (*_MARKS, *_MARKS.values())
_LONGEST = max(map(len, _ALL))


def _any_of(*marks: str) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)), re.IGNORECASE | re.ASCII)


_BEGIN, _END, _EITHER = _any_of(*_MARKS), _any_of(*_MARKS.values()), _any_of(*_ALL)
# Inside a thought, another of its kind may begin, which has an end of its own.
_INSIDE = {begin: _any_of(begin, end) for begin, end in _MARKS.items()}


@dataclass(slots=True)
class ThoughtFilter:
    """Takes an answer piece by piece, and gives what of it is said; a mark may be split between pieces.

    Attributes:
        waits: a thought may begin without a mark, so nothing is given before one has ended, or the answer
            has.
    """

    waits: bool = False
    _held: str = field(default="", init=False)
    _looked: int = field(default=0, init=False)
    _begun: str | None = field(default=None, init=False)
    _depth: int = field(default=0, init=False)
    _is_before_text: bool = field(default=False, init=False)

    def take(self, piece: str) -> str:
        """Take what follows; returns what is said of all that is known by now."""
        self._held += piece
        said: list[str] = []
        while (mark := self._next()) is not None:
            said.append(self._pass(mark))
        safe = len(self._held) - _begun(self._held)
        if self._begun is not None or self.waits:
            self._looked = max(self._looked, safe)
            return "".join(said)
        said.append(self._held[:safe])
        self._held = self._held[safe:]
        return "".join(said)

    def close(self) -> str:
        """Return what was held back and is said all the same.

        Of a thought that has fewer ends than beginnings, the answer stands behind its last end: a model that
        thinks about marks writes some.
        """
        rest = self._held
        if self._begun is not None:
            ends = list(_END.finditer(rest))
            rest = rest[ends[-1].end() :].lstrip() if ends else ""
        self._held, self._looked, self._begun, self.waits = "", 0, None, False
        return rest

    def _next(self) -> re.Match[str] | None:
        """Return the next mark that means something here."""
        if self._begun is not None:
            return _INSIDE[self._begun].search(self._held, self._looked)
        if self._is_before_text:
            self._held = self._held.lstrip()
            self._is_before_text = not self._held
        return (_EITHER if self.waits else _BEGIN).search(self._held, self._looked)

    def _pass(self, mark: re.Match[str]) -> str:
        """Go on behind a mark; returns what is said before it."""
        if self._begun is not None:
            self._depth += 1 if mark[0].lower() == self._begun else -1
            self._looked = mark.end()
            if not self._depth:
                self._begun = None
                self._speak_on(mark)
            return ""
        said = self._held[: mark.start()]
        if _END.fullmatch(mark[0]):
            self._speak_on(mark)
            return ""
        self.waits, self._begun, self._depth = False, mark[0].lower(), 1
        self._held, self._looked = self._held[mark.end() :], 0
        return said

    def _speak_on(self, mark: re.Match[str]) -> None:
        self._held, self._looked = self._held[mark.end() :], 0
        self._is_before_text, self.waits = True, False


def without_thoughts(text: str) -> str:
    """Return a whole answer without what was thought aloud.

    Some servers begin the thought themselves, so that only its end stands in the answer: what is before
    that is no part of it either.
    """
    thoughts = ThoughtFilter()
    said = thoughts.take(text) + thoughts.close()
    ends = list(_END.finditer(said))
    return said[ends[-1].end() :].lstrip() if ends else said


def _begun(text: str) -> int:
    """Return how many of the last characters may be the beginning of a mark."""
    tail = text[-_LONGEST:].lower()
    return next(
        (
            length
            for length in range(len(tail), 0, -1)
            if any(mark.startswith(tail[-length:]) for mark in _ALL)
        ),
        0,
    )
