"""What a request to speak asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from tasks.engine.bodies import Body, number_field, text_field
from tasks.engine.problems import invalid
from tasks.media.speech_arguments import SpeechFormat

LONGEST_INPUT = 4_096
"""Characters."""

_E = TypeVar("_E", bound=StrEnum)


class StreamFormat(StrEnum):
    """The values of stream_format: bytes as they are, or events."""

    AUDIO = "audio"
    SSE = "sse"


@dataclass(frozen=True, slots=True)
class SpeechWish:
    """What a request to speak asks for.

    Attributes:
        speed: the duration is divided by it.
    """

    model: str
    text: str
    voice: str
    format: SpeechFormat
    speed: float
    stream_format: StreamFormat


def read_speech_wish(body: Body) -> SpeechWish:
    """Read the fields of a request. ``instructions`` are for models that take them, and passed over.

    Raises:
        Problem: a field is missing or wrong; it is named.
    """
    model = text_field(body, "model")
    text = text_field(body, "input")
    if not text.strip():
        raise invalid("input", "There is nothing to say: input is empty", "empty_input")
    if len(text) > LONGEST_INPUT:
        message = f"input is {len(text)} characters long; {LONGEST_INPUT} is the most"
        raise invalid("input", message, "string_above_max_length")
    return SpeechWish(
        model=model,
        text=text,
        voice=_voice(body),
        format=_one_of(SpeechFormat, body, "response_format", SpeechFormat.MP3),
        speed=number_field(body, "speed", 1.0, 0.25, 4.0),
        stream_format=_one_of(StreamFormat, body, "stream_format", StreamFormat.AUDIO),
    )


def _voice(body: Body) -> str:
    voice = body.get("voice")
    # Voices that a customer has made are named by an object.
    return text_field(voice, "id") if isinstance(voice, dict) else text_field(body, "voice")


def _one_of(values: type[_E], body: Body, name: str, default: _E) -> _E:
    value = body.get(name)
    if value is None:
        return default
    try:
        return values(value)
    except ValueError:
        raise invalid(name, f"{value} is none of {', '.join(values)}") from None
