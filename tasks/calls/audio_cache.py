"""Spoken sound in the object store: where it lies, and the answer that names it."""

from __future__ import annotations

import builtins
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Self

from stenoflow.tasks.api.speech import CONTENT_TYPES, SPEECH_FORMATS, SpeechFormat

FOLDER = "speech"


@dataclass(frozen=True, slots=True)
class StoredAudio:
    """Sound in the object store.

    Attributes:
        key: where it lies.
        sha256: of its bytes, in hex.
        content_type: tells its format.
        ms: how long it lasts.
    """

    key: str
    sha256: str
    bytes: int
    content_type: str
    ms: int

    @classmethod
    def of(cls, key: str, data: builtins.bytes, form: SpeechFormat, ms: int) -> Self:
        """Describe what is to be stored."""
        return cls(key, hashlib.sha256(data).hexdigest(), len(data), CONTENT_TYPES[form], ms)

    @property
    def form(self) -> SpeechFormat:
        """Its format."""
        return next(known for known in SPEECH_FORMATS if CONTENT_TYPES[known] == self.content_type)

    def to_json(self) -> str:
        """Write it as the ledger keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, answer: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(answer))


def piece_key(cache_key: str, form: SpeechFormat) -> str:
    """Return where the sound of a piece lies: jobs with the same text, voice and settings share it."""
    return f"{piece_prefix(cache_key)}{form}"


def piece_prefix(cache_key: str) -> str:
    """Return how the key of a piece's sound begins, in whichever format it came."""
    return f"{FOLDER}/{cache_key[:2]}/{cache_key}."
