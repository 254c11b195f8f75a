"""The schema of requests: forms and uploads to transcribe, the fields of JSON bodies, and those of chat."""

from __future__ import annotations

import json
from asyncio import timeout
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite, isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from stenoflow.tasks.engine.api_errors import ApiErrorReply, invalid
from stenoflow.tasks.engine.recogniser import Hints
from stenoflow.tasks.transcript.languages import language_code
from stenoflow.tasks.transcript.minutes import SCHEMA, SECTIONS


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
    """The fields of a request to transcribe, besides the file."""

    model: str
    hints: Hints
    format: Format
    granularities: frozenset[Granularity]
    stream: bool
    logprobs: bool = False


def read_transcription_form(form: FormData) -> TranscriptionForm:
    """Read the fields of the form, besides the file.

    Raises:
        ApiErrorReply: a field is missing or wrong; it is named.
    """
    model = _text(form, "model")
    if model is None:
        raise invalid("model", "You must provide a model parameter", "missing_required_parameter")
    fields = TranscriptionForm(
        model=model,
        hints=Hints(_language(form), _text(form, "prompt"), _temperature(form)),
        format=_format(form),
        granularities=_granularities(form),
        stream=_stream(form),
        logprobs=_logprobs(form),
    )
    if fields.granularities and fields.format is not Format.VERBOSE_JSON:
        raise invalid("timestamp_granularities", "timestamp_granularities needs response_format verbose_json")
    if fields.logprobs and fields.format is not Format.JSON:
        raise invalid("include", "include[]=logprobs needs response_format json")
    if fields.stream and fields.format not in {Format.JSON, Format.TEXT}:
        raise invalid("response_format", f"a stream comes as json or text, not as {fields.format}")
    return fields


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


def _logprobs(form: FormData) -> bool:
    asked = {str(value) for field in ("include[]", "include") for value in form.getlist(field)}
    unknown = asked - {"logprobs"}
    if unknown:
        raise invalid("include", f"{', '.join(sorted(unknown))} cannot be included, only logprobs")
    return bool(asked)


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


_MOST_LEVELS = 64
_LONGEST_UPLOAD_S = 600.0


async def read_body(request: Request, most: int) -> Body:
    """Receive a JSON object of at most ``most`` bytes.

    Raises:
        ApiErrorReply: it is larger, nested too deep, no JSON object, or not said to be JSON.
    """
    check_content_type(request, "application/json")
    content = bytearray()
    async with receiving_in_time():
        async for part in request.stream():
            content += part
            if len(content) > most:
                message = f"The request is larger than {most} bytes"
                raise ApiErrorReply(413, message, code="content_too_large")
    try:
        body = json.loads(content)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ApiErrorReply(400, f"The body of the request is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ApiErrorReply(400, "The body of the request must be a JSON object")
    if not _is_flat(body):
        raise _too_deep()
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # No answer could repeat it.
        raise ApiErrorReply(400, "The body of the request has half of a surrogate pair in it") from None
    return body


def check_content_type(request: Request, *expected: str) -> None:
    """Refuse a body of another type: a page in a browser may send text and forms to any server unasked.

    Raises:
        ApiErrorReply: it is said to be of another type, or of none.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in expected:
        message = f"The body of the request must be {expected[0]}, not {given or 'of no type'}"
        raise ApiErrorReply(415, message, code="unsupported_media_type")


@asynccontextmanager
async def receiving_in_time() -> AsyncIterator[None]:
    """Bound how long a client may take to send a body.

    Raises:
        ApiErrorReply: it takes longer.
    """
    try:
        async with timeout(_LONGEST_UPLOAD_S):
            yield
    except TimeoutError:
        message = f"The request was not received within {_LONGEST_UPLOAD_S:.0f} s"
        raise ApiErrorReply(408, message, code="request_timeout") from None


def _is_flat(body: Body) -> bool:
    """Tell whether a body is nested no deeper than any request needs: what reads it further may recurse."""
    level: list[Any] = [body]
    for _ in range(_MOST_LEVELS):
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return True
    return False


def _too_deep() -> ApiErrorReply:
    return ApiErrorReply(400, f"The body of the request is nested deeper than {_MOST_LEVELS} levels")


def text_field(body: Body, name: str) -> str:
    """Return a field that must be there, and text.

    Raises:
        ApiErrorReply: it is missing, empty or no text.
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
        ApiErrorReply: it is none, or outside them.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(name, f"{name} must be a number", "invalid_type")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if isnan(number):
        raise invalid(name, f"{name} must be a number", "invalid_type")
    if not least <= number <= most:
        raise invalid(name, f"{name} is {number:g}; it must be from {least:g} to {most:g}")
    return number


LARGEST_BODY = 25 * 1024 * 1024
"""Bytes of a whole request, form fields included."""


@dataclass(frozen=True, slots=True)
class TranscriptionUpload:
    """A request to transcribe, with the path of the uploaded file."""

    form: TranscriptionForm
    sound: Path


@asynccontextmanager
async def receive_transcription(request: Request) -> AsyncIterator[TranscriptionUpload]:
    """Receive a request to transcribe; its file is deleted on leaving.

    Raises:
        ApiErrorReply: the form is too large, or a field is missing or wrong.
    """
    # A form of fields alone is told which one is missing.
    check_content_type(request, "multipart/form-data", "application/x-www-form-urlencoded")
    async with receiving_in_time():
        form = await Request(request.scope, _bounded(request)).form(max_files=1, max_fields=500)
    try:
        fields = read_transcription_form(form)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid("file", "The file to transcribe is missing", "missing_required_parameter")
        with TemporaryDirectory(prefix="stenoflow-engine-") as folder:
            sound = Path(folder, "upload")
            await _save(file, sound)
            yield TranscriptionUpload(fields, sound)
    finally:
        await form.close()


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


_NO_LIMIT = 1_000_000
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ONE_SCHEMA = (
    "This model fills one JSON schema only, that of Stenoflow's minutes: an object of the lists "
    f"{', '.join(SECTIONS)}, each entry with text and line, in action_items also with owner and due. "
    "Without response_format it replies in text."
)


@dataclass(frozen=True, slots=True)
class ChatForm:
    """The fields of a request to chat.

    Attributes:
        message: the last one of the user, which is answered.
        prompt_words: in all messages.
        wants_minutes: the answer is to be JSON, by `SCHEMA`.
        most_words: that the answer may have.
        stream: it comes in events; ``include_usage``: with a last one that counts.
    """

    model: str
    message: str
    prompt_words: int
    wants_minutes: bool
    most_words: int
    stream: bool
    include_usage: bool


def read_chat_form(body: Body) -> ChatForm:
    """Read the fields of a request; what steers a language model (temperature, seed ...) is ignored.

    Raises:
        ApiErrorReply: a field is missing or wrong; it is named.
    """
    model = text_field(body, "model")
    messages = list(_messages(body))
    user_texts = [text for role, text in messages if role == "user"]
    if not user_texts:
        raise invalid("messages", "There is no message of the user to answer")
    if body.get("tools") or body.get("functions"):
        raise invalid("tools", "This model calls no tools", "unsupported_parameter")
    if number_field(body, "n", 1, 1, 128) != 1:
        raise invalid("n", "This model gives one answer", "unsupported_value")
    options = body.get("stream_options")
    limit = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    return ChatForm(
        model=model,
        message=user_texts[-1],
        prompt_words=sum(len(text.split()) for _, text in messages),
        wants_minutes=_wants_minutes(body.get("response_format")),
        most_words=int(number_field(body, limit, _NO_LIMIT, 1, _NO_LIMIT)),
        stream=_flag(body, "stream"),
        include_usage=_flag(options, "include_usage") if isinstance(options, dict) else False,
    )


def _messages(body: Body) -> Iterator[tuple[str, str]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "You must provide messages, a list", "missing_required_parameter")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise invalid(f"messages[{index}]", "A message needs a role (such as user) and content")
        yield message["role"], _content(message.get("content"), f"messages[{index}].content")


def _content(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise invalid(where, "This model reads text only", "unsupported_value")
    return "\n".join(map(str, texts))


def _wants_minutes(response_format: Any) -> bool:
    match response_format:
        case None | {"type": "text"}:
            return False
        case {"type": "json_object"}:
            return True
        case {"type": "json_schema", "json_schema": {"schema": schema}} if schema == SCHEMA:
            return True
        case {"type": "json_schema"}:
            raise invalid("response_format", _ONE_SCHEMA, "unsupported_value")
    raise invalid("response_format", "response_format.type is none of text, json_object, json_schema")


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(name, f"{name} must be true or false", "invalid_type")
    return bool(value)
