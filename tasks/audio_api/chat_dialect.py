"""Which of the API's fields a server takes: learned from what it refuses, which costs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from tasks.audio_api.errors import FormatRefusedError, SegmentRefusedError

_ABOUT_FORMAT = re.compile(r"response_format|json_schema|json_object|structured output", re.IGNORECASE)
_ABOUT_TOKENS = re.compile(r"\bmax_(completion_)?tokens\b")
_ABOUT_TEMPERATURE = re.compile(r"\btemperature\b", re.IGNORECASE)
_ABOUT_USAGE = re.compile(r"stream_options|include_usage", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a model at a server wants to be asked.

    Attributes:
        shape: how the shape of an answer is given: as a schema, as "some JSON object", or not at all (the
            question says it in words as well).
        most_tokens: the field that bounds an answer; OpenAI's newer models take the longer name only, many
            other servers the shorter one only.
        temperature: whether it takes one.
        usage: whether a stream can be asked to end with its usage.
    """

    shape: Literal["schema", "object", "none"] = "schema"
    most_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    usage: bool = True

    def after(self, refusal: SegmentRefusedError) -> Dialect | None:
        """Return how to ask instead; None where the refusal is not about how it was asked."""
        said = refusal.message
        if _ABOUT_TOKENS.search(said) and self.most_tokens == "max_tokens":
            return replace(self, most_tokens="max_completion_tokens")
        if _ABOUT_USAGE.search(said) and self.usage:
            return replace(self, usage=False)
        if _ABOUT_TEMPERATURE.search(said) and self.temperature:
            return replace(self, temperature=False)
        about_format = isinstance(refusal, FormatRefusedError) or _ABOUT_FORMAT.search(said) is not None
        if about_format and self.shape != "none":
            return replace(self, shape="object" if self.shape == "schema" else "none")
        return None
