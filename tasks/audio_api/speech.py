"""Asking for speech, and reading the sound that comes: as it comes, and whether it is all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import httpx

from tasks.audio_api.envelope import read_complaint
from tasks.audio_api.errors import BadAnswerError
from tasks.audio_api.exchange import Target
from tasks.audio_api.hints import hint_for
from tasks.audio_api.settings import AudioApiSettings
from tasks.audio_api.sound_forms import form_of, is_cut_off

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
SPEECH_FORMATS: Final[tuple[SpeechFormat, ...]] = get_args(SpeechFormat)

PCM_RATE: Final = 24_000
"""Samples a second of the API's ``pcm``: 16 bits, little-endian, mono."""

CONTENT_TYPES: Final[dict[SpeechFormat, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}

# As many tell a form from another one: an ID3 tag, an Ogg page, a RIFF header.
_ENOUGH_TO_TELL = 12
_TEXTUAL = ("text/", "application/json", "application/xml", "application/problem")


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One text to be spoken.

    Attributes:
        speed: 0.25 to 4; 1 is not sent, for some servers know no speed.
        instructions: how to speak; None: nothing is said of that.
    """

    model: str
    text: str
    voice: str
    format: SpeechFormat
    speed: float = 1.0
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """What was spoken.

    Attributes:
        format: what it is, whatever was asked for.
    """

    data: bytes
    format: SpeechFormat


def speech_document(request: SpeechRequest) -> dict[str, Any]:
    """Return the JSON of a request."""
    document: dict[str, Any] = {
        "model": request.model,
        "input": request.text,
        "voice": request.voice,
        "response_format": request.format,
    }
    if request.speed != 1:
        document["speed"] = request.speed
    if request.instructions:
        document["instructions"] = request.instructions
    return document


async def read_sound(
    response: httpx.Response,
    request: SpeechRequest,
    target: Target,
    settings: AudioApiSettings,
    take: Callable[[bytes], object],
) -> Sound:
    """Read a 2xx response that is being streamed.

    Args:
        response: the response.
        request: what was asked for.
        target: whom, for messages.
        settings: for the largest answer.
        take: given the sound as it comes, if it is in the format that was asked for.

    Raises:
        BadAnswerError: it is no sound, or is cut off, or too large.
        httpx.HTTPError: it broke off.
    """
    body = bytearray()
    given = 0
    form: SpeechFormat | None = None
    told = response.headers.get("content-type", "").lower()
    is_text = told.startswith(_TEXTUAL)
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > settings.largest_answer_bytes:
            raise _bad(target, f"more than {settings.largest_answer_bytes} bytes", response)
        if form is None and not is_text and len(body) >= _ENOUGH_TO_TELL:
            form = form_of(bytes(body[:_ENOUGH_TO_TELL]), request.format)
        if form == request.format:
            take(bytes(body[given:]))
            given = len(body)
    data = bytes(body)
    if form is None:
        raise _bad(target, _what_it_is(data, told), response)
    if not _is_framed(response) and is_cut_off(data, form):
        raise _bad(target, f"sound that is cut off after {len(data)} bytes", response)
    return Sound(data, form)


def _is_framed(response: httpx.Response) -> bool:
    """Tell whether the protocol says where the body ends; else its end may be that of the connection."""
    chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
    return chunked or "content-length" in response.headers or response.http_version == "HTTP/2"


def _what_it_is(data: bytes, content_type: str) -> str:
    if not data:
        return "nothing"
    said = read_complaint(data).text
    labelled = f", labelled {content_type[:60]}" if content_type else ""
    return f"what is no sound: {said}" if said else f"what is no sound ({len(data)} bytes{labelled})"


def _bad(target: Target, what: str, response: httpx.Response) -> BadAnswerError:
    return BadAnswerError(f"{target} sent {what}", hint_for(BadAnswerError, target), response.status_code)
