"""Reading a chat answer that comes in pieces: server-sent events, each a piece of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.audio_api import lenient
from tasks.audio_api.chat import ChatAnswer, answer_of, content_of
from tasks.audio_api.envelope import read_complaint
from tasks.audio_api.errors import BadAnswerError
from tasks.audio_api.exchange import Target
from tasks.audio_api.hints import hint_for

_DATA = "data:"
_END = "[DONE]"


@dataclass(slots=True)
class Pieces:
    """What has come of an answer. Feed it the lines of the stream, in order.

    Attributes:
        told: given each piece of text as it comes.
    """

    target: Target
    told: Callable[[str], object]
    _text: list[str] = field(default_factory=list)
    _refusal: list[str] = field(default_factory=list)
    _finish: str | None = None
    _usage: Mapping[str, Any] = field(default_factory=dict)
    _has_come: bool = False
    _has_ended: bool = False

    def take(self, line: str) -> None:
        """Take one line. Raises BadAnswerError where the server says that it failed midway."""
        if not line.startswith(_DATA):
            return
        said = line.removeprefix(_DATA).strip()
        if said == _END:
            self._has_ended = True
            return
        try:
            piece = json.loads(said)
        except (ValueError, RecursionError):
            return
        if isinstance(piece, dict):
            self._take(piece, said)

    def answer(self) -> ChatAnswer:
        """Return the whole of it. Raises BadAnswerError for a stream that ended without an end."""
        if not self._has_come:
            raise self._bad("sent a stream without a choice in it")
        if not self._has_ended and self._finish is None:
            raise self._bad("ended its answer midway")
        return answer_of("".join(self._text), "".join(self._refusal), self._finish, self._usage)

    def _take(self, piece: Mapping[str, Any], said: str) -> None:
        if piece.get("error"):
            raise self._bad(f"failed midway: {read_complaint(said.encode()).text}")
        usage = piece.get("usage")
        self._usage = usage if isinstance(usage, dict) else self._usage
        for choice in lenient.entries(piece, "choices")[:1]:
            self._has_come = True
            finish = choice.get("finish_reason")
            self._finish = finish if isinstance(finish, str) else self._finish
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._refusal.append(lenient.written(delta, "refusal"))
                self._tell(content_of(delta))

    def _tell(self, text: str) -> None:
        if text:
            self._text.append(text)
            self.told(text)

    def _bad(self, what: str) -> BadAnswerError:
        return BadAnswerError(f"{self.target} {what}", hint_for(BadAnswerError, self.target))
