"""How many lines go into one request: their translation must fit into an answer, they into the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tasks.audio_api.chat_models import ChatModel
from tasks.translation.lines import Line
from tasks.translation.prompt import ask_for

# A token for two bytes read is on the safe side; English is written at one for four bytes or more, and is
# seldom longer than what it is made from.
_BYTES_A_TOKEN_READ = 2
_BYTES_A_TOKEN_WRITTEN = 3
# `{"line": 123, "text": ""}, ` and what a model likes to put between.
_TOKENS_A_LINE_WRITTEN = 12
_LEAST_READ = 600
_LEAST_WRITTEN = 180


class NoRoomError(ValueError):
    """A model takes too little for even a few lines."""


@dataclass(frozen=True, slots=True)
class Room:
    """What goes into one request, in tokens.

    Attributes:
        read: of lines.
        written: of their translation.
    """

    read: int
    written: int

    @classmethod
    def of(cls, model: ChatModel) -> Self:
        """Work out how much a model takes. Raises NoRoomError."""
        around = ask_for("", 0, ()).most_input_tokens // _BYTES_A_TOKEN_READ
        room = cls(model.context - model.answer - around, model.answer * 3 // 4)
        if room.read < _LEAST_READ or room.written < _LEAST_WRITTEN:
            message = (
                f"{model.context} tokens, less {model.answer} for the answer and {around} for the question"
            )
            raise NoRoomError(message)
        return room

    def first_of(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """Return as many lines as fit, and one at least."""
        read = written = 0
        for count, line in enumerate(lines):
            size = len(line.written.encode())
            read += size // _BYTES_A_TOKEN_READ + 1
            written += tokens_written(size)
            if count and (read > self.read or written > self.written):
                return tuple(lines[:count])
        return tuple(lines)


def tokens_written(size: int) -> int:
    """Estimate how many tokens the answer has for a line of so many bytes, on the safe side."""
    return size // _BYTES_A_TOKEN_WRITTEN + _TOKENS_A_LINE_WRITTEN
