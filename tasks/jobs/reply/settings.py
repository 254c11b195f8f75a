"""Settings of a reply: what it depends on besides what was said, and the hashes that stand for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from stenoflow.tasks.api.chat import ChatRequest, Message

_WAY = "reply/1"


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """Everything that a reply depends on.

    Attributes:
        of: the job whose transcript is answered.
        messages: hash of all that the model is asked.
        answer: the most tokens of an answer.
        room: for the question, in tokens as `stenoflow.tasks.transcript.minutes.size` counts.
        speech: what the voice depends on, as speech settings are stored.
        instructions: to the model; None: the usual ones.
        session: the conversation; None: there is none.
        upto: the number of its last turn before this one.
    """

    of: str
    messages: str
    provider: str
    model: str
    answer: int
    room: int
    speech: dict[str, Any]
    instructions: str | None = None
    session: str | None = None
    upto: int = 0

    @property
    def settings_hash(self) -> str:
        """Hash of all of it: a job is a recording with these."""
        return _hash([_WAY, self.to_dict()])

    @property
    def cache_key(self) -> str:
        """Hash what the answer depends on."""
        return _hash([_WAY, self.provider, self.model, self.answer, self.messages])

    def request(self, messages: tuple[Message, ...]) -> ChatRequest:
        """Return the request."""
        return ChatRequest(self.model, messages, self.answer)

    def to_dict(self) -> dict[str, Any]:
        """Return it for storing; what was not asked for is not said."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        return cls(**stored)


def hash_of_messages(messages: Sequence[Message]) -> str:
    """Hash what a model is asked."""
    return _hash([[each.role, each.text] for each in messages])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
