"""Settings of minutes: what they depend on besides the transcript, and the hashes that stand for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from stenoflow.tasks.api.chat import ChatRequest, Message
from stenoflow.tasks.jobs.minutes.prompt import SHAPE, wording
from stenoflow.tasks.transcript.minutes import TranscriptLine

# Raised by hand when what is made of an answer changes in a way that the wording does not show.
_WAY = "minutes/1"


@dataclass(frozen=True, slots=True)
class MinutesSettings:
    """Everything that a digest depends on.

    Attributes:
        of: the job whose transcript it is of.
        transcript: hash of that transcript's lines: one that was completed since is another.
        provider: whose API; its name, not its address.
        context: the model's, in tokens.
        answer: the most tokens of an answer.
        speech: what the spoken minutes depend on, as speech settings are stored; None: they are not spoken.
        template: by which they are written as Markdown, whole; None: in the built-in shape. No question
            depends on it.
    """

    of: str
    transcript: str
    provider: str
    model: str
    context: int
    answer: int
    speech: dict[str, Any] | None = None
    template: str | None = None

    @property
    def settings_hash(self) -> str:
        """Hash of all of it: a job is a recording with these."""
        return _hash([_WAY, self.to_dict()])

    def request(self, messages: tuple[Message, ...]) -> ChatRequest:
        """Return the request for a question; the model is to stick to what was said."""
        return ChatRequest(self.model, messages, self.answer, SHAPE, temperature=0.0)

    def key_of_lines(self, lines: Sequence[TranscriptLine]) -> str:
        """Hash what the answer to a question about lines depends on."""
        return _hash([*self._asked(), [line.written for line in lines]])

    def key_of_notes(self, keys: Sequence[str]) -> str:
        """Hash what the answer to a question about other answers depends on: those, by their keys."""
        return _hash([*self._asked(), "notes", list(keys)])

    def to_dict(self) -> dict[str, Any]:
        """Return it for storing; what was not asked for is not said."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        return cls(**stored)

    def _asked(self) -> list[Any]:
        return [_WAY, wording(), self.provider, self.model, self.answer]


def hash_of_lines(lines: Sequence[TranscriptLine]) -> str:
    """Hash a transcript as far as minutes of it depend on it."""
    return _hash([[line.at_ms, line.written] for line in lines])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
