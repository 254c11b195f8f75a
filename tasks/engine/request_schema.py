"""The engine's request schema: forms and uploads of /v1/audio/transcriptions, and JSON bodies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from stenoflow.tasks.engine.api_errors import ApiErrorReply, invalid
from stenoflow.tasks.engine.recogniser import Hints
from stenoflow.tasks.transcript.languages import language_code


class Format(StrEnum):
    """The values of response_format."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"


class Granularity(StrEnum):
    """The values of timestamp_granularities[]."""

    WORD = "word"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """What a request asks for, the sound apart."""

    model: str
    hints: Hints
    format: Format
    granularities: frozenset[Granularity]
    stream: bool


def read_transcription_form(form: FormData) -> TranscriptionForm:
    """Read the fields of the form, the file apart.

    Raises:
        Problem: a field is missing or wrong; it is named.
    """
    model = _text(form, "model")
    if model is None:
        raise invalid("model", "You must provide a model parameter", "missing_required_parameter")
    wish = TranscriptionForm(
        model=model,
        hints=Hints(_language(form), _text(form, "prompt"), _temperature(form)),
        format=_format(form),
        granularities=_granularities(form),
        stream=_stream(form),
    )
    if wish.granularities and wish.format is not Format.VERBOSE_JSON:
        raise invalid("timestamp_granularities", "timestamp_granularities needs response_format verbose_json")
    if wish.stream and wish.format not in {Format.JSON, Format.TEXT}:
        raise invalid("response_format", f"a stream comes as json or text, not as {wish.format}")
    return wish


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _format(form: FormData) -> Format:
    value = _text(form, "response_format")
    try:
        return Format(value) if value else Format.JSON
    except ValueError:
        raise invalid("response_format", f"{value} is none of {_listed(Format)}") from None


def _granularities(form: FormData) -> frozenset[Granularity]:
    fields = ("timestamp_granularities[]", "timestamp_granularities")
    values = [str(value) for field in fields for value in form.getlist(field)]
    try:
        return frozenset(map(Granularity, values))
    except ValueError:
        message = f"{', '.join(values)} is not made of {_listed(Granularity)}"
        raise invalid("timestamp_granularities", message) from None


def _listed(values: type[StrEnum]) -> str:
    return ", ".join(values)


def _language(form: FormData) -> str | None:
    value = _text(form, "language")
    code = language_code(value)
    if value is not None and code is None:
        raise invalid("language", f"{value} is no language of ISO 639-1", "invalid_language_format")
    return code


def _temperature(form: FormData) -> float | None:
    value = _text(form, "temperature")
    if value is None:
        return None
    try:
        temperature = float(value)
    except ValueError:
        temperature = -1.0
    if not (isfinite(temperature) and 0 <= temperature <= 1):
        raise invalid("temperature", f"{value} is no number from 0 to 1")
    return temperature


def _stream(form: FormData) -> bool:
    value = (_text(form, "stream") or "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise invalid("stream", f"{value} is neither true nor false")
    return value in {"true", "1"}


Body = dict[str, Any]


async def read_body(request: Request, most: int) -> Body:
    """Receive a JSON object of at most ``most`` bytes.

    Raises:
        Problem: it is larger, or no JSON object.
    """
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise ApiErrorReply(413, f"The request is larger than {most} bytes", code="content_too_large")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ApiErrorReply(400, f"The body of the request is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ApiErrorReply(400, "The body of the request must be a JSON object")
    return body


def text_field(body: Body, name: str) -> str:
    """Return a field that must be there, and text.

    Raises:
        Problem: it is missing, empty or no text.
    """
    value = body.get(name)
    if value is None or value == "":
        raise invalid(name, f"You must provide {name}", "missing_required_parameter")
    if not isinstance(value, str):
        raise invalid(name, f"{name} must be a string", "invalid_type")
    return value


def number_field(body: Body, name: str, default: float, least: float, most: float) -> float:
    """Return a number within its bounds.

    Raises:
        Problem: it is none, or outside them.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise invalid(name, f"{name} must be a number", "invalid_type")
    if not least <= value <= most:
        raise invalid(name, f"{name} is {value:g}; it must be from {least:g} to {most:g}")
    return float(value)


LARGEST_BODY = 25 * 1024 * 1024
"""Bytes of a whole request, form fields included."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """A request to transcribe: the file lies at ``sound`` while the request is being answered."""

    wish: TranscriptionForm
    sound: Path


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Transcription]:
    """Receive a request to transcribe; its file is deleted on leaving.

    Raises:
        Problem: the form is too large, or a field is missing or wrong.
    """
    async with Request(request.scope, _bounded(request)).form(max_files=1, max_fields=500) as form:
        wish = read_transcription_form(form)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid("file", "The file to transcribe is missing", "missing_required_parameter")
        with TemporaryDirectory(prefix="stenoflow-engine-") as folder:
            sound = Path(folder, "upload")
            await _save(file, sound)
            yield Transcription(wish, sound)


def _bounded(request: Request) -> Receive:
    """Receive the body up to the limit, whatever Content-Length says of it."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > LARGEST_BODY:
        raise _too_large(int(declared))
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise _too_large(seen)
        return message

    return receive


def _too_large(size: int) -> ApiErrorReply:
    message = f"Maximum content size limit ({LARGEST_BODY}) exceeded ({size} bytes read)"
    return ApiErrorReply(413, message, code="content_too_large")


async def _save(file: UploadFile, target: Path) -> None:
    with target.open("wb") as saved:
        while block := await file.read(1024 * 1024):
            saved.write(block)
