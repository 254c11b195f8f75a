"""Speech synthesis: the request, and the check of the sound that comes back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.error_body import hint_for, read_complaint
from stenoflow.tasks.api.errors import BadAnswerError
from stenoflow.tasks.api.types import Target

if TYPE_CHECKING:
    import httpx

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
SPEECH_FORMATS: Final[tuple[SpeechFormat, ...]] = get_args(SpeechFormat)

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
            form = form_of(bytes(body[:_ENOUGH_TO_TELL]), request.format, told)
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


Form = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

_MARKS: dict[bytes, Form] = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "opus", b"ID3": "mp3"}
_FRAMED = ("audio/mpeg", "audio/mp3", "audio/aac")
_OGG_HEADER = 27
_LAST_PAGE = 4
# What is written in place of a size by who does not know it yet.
_UNKNOWN_SIZES = {0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}


def form_of(head: bytes, wanted: Form, told: str = "") -> Form | None:
    """Tell what begins with these bytes; None: no sound that we know.

    Args:
        head: 12 bytes or more.
        wanted: what was asked for; bare samples begin with anything, so only this tells of them.
        told: what the server calls it, in lower case; some give MP3 whatever is asked for.
    """
    marked = next((form for mark, form in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None:
        return "aac" if marked == "mp3" and wanted == "aac" else marked
    # Both begin with eleven set bits; AAC has 0 where MP3 names its layer.
    is_framed = head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    if wanted == "pcm" and not (is_framed and told.startswith(_FRAMED)):
        # Quiet samples are near zero, of either sign; an error in JSON is not.
        return None if head.lstrip().startswith(b'{"') else "pcm"
    if not is_framed:
        return None
    return "aac" if head[1] & 0xF6 == 0xF0 else "mp3"


def is_cut_off(data: bytes, form: Form) -> bool:
    """Tell whether sound lacks its end, as far as its form says; MP3 and AAC hardly do.

    For answers that end with their connection, where nothing else says whether they are whole.
    """
    if form == "wav":
        return _lacks_samples(data)
    if form == "opus":
        return not _ends_with_last_page(data)
    return form == "pcm" and len(data) % 2 == 1


def wav_samples(data: bytes) -> tuple[int, int]:
    """Return where the samples of a WAV begin, and how many bytes it says that there are (or 0xFFFFFFFF)."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"data":
            return at + 8, size
        at += 8 + size + size % 2
    return len(data), 0xFFFFFFFF


def _lacks_samples(data: bytes) -> bool:
    begin, size = wav_samples(data)
    return size not in _UNKNOWN_SIZES and len(data) - begin < size


def _ends_with_last_page(data: bytes) -> bool:
    at = data.rfind(b"OggS")
    if at < 0 or len(data) < at + _OGG_HEADER:
        return False
    segments = data[at + _OGG_HEADER - 1]
    lacing = data[at + _OGG_HEADER : at + _OGG_HEADER + segments]
    whole = len(lacing) == segments and len(data) >= at + _OGG_HEADER + segments + sum(lacing)
    return whole and bool(data[at + 5] & _LAST_PAGE)
