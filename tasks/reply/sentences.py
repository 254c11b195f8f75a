"""Cutting an answer into sentences while it is being written: however it comes, the cuts are the same."""

from __future__ import annotations

from tasks.speaking.splitting import Span
from tasks.speech.text import ends_sentence

# The first is short, for somebody waits for it; the others are longer, for a voice does better with those.
_LEAST_OF_FIRST = 8
_LEAST = 100


class Sentences:
    """Takes an answer as it comes, and gives the pieces that can be spoken by then.

    Args:
        most: characters in a piece.
    """

    def __init__(self, most: int) -> None:
        self.text = ""
        self._most = most
        self._start = 0
        self._looked = 0
        self._space = 0
        self._count = 0

    def feed(self, text: str) -> list[Span]:
        """Take what follows; returns the pieces that are whole now."""
        self.text += text
        found = []
        while self._looked < len(self.text):
            piece = self._look(self._looked)
            self._looked += 1
            found += [piece] if piece else []
        return found

    def end(self) -> list[Span]:
        """Return what is left."""
        piece = self._cut(len(self.text))
        return [piece] if piece else []

    def _look(self, place: int) -> Span | None:
        """Look at one sign: whether a piece ends before it."""
        if self.text[place].isspace():
            self._space = place
            if self._is_whole(place):
                return self._cut(place)
        if place - self._start >= self._most:
            return self._cut(self._space if self._space > self._start else place)
        return None

    def _is_whole(self, place: int) -> bool:
        least = _LEAST if self._count else _LEAST_OF_FIRST
        said = self.text[self._start : place]
        return len(said.strip()) >= least and (self.text[place] == "\n" or ends_sentence(said[-8:]))

    def _cut(self, end: int) -> Span | None:
        said = self.text[self._start : end]
        first = self._start + len(said) - len(said.lstrip())
        self._start = end
        if not said.strip():
            return None
        self._count += 1
        return Span(first, first + len(said.strip()))
