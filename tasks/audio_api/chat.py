"""What is asked of a chat model, and what it answered: pure; the client sends and receives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.audio_api import lenient
from tasks.audio_api.chat_dialect import Dialect
from tasks.audio_api.envelope import read_complaint
from tasks.audio_api.errors import BadAnswerError
from tasks.audio_api.exchange import Target
from tasks.audio_api.hints import hint_for


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The JSON that an answer is to be: a schema, with the name that the API wants for it."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a chat model; no tools are ever offered to it.

    Attributes:
        model: its name at the provider.
        most_tokens: that the answer may have; what it may cost is reserved by this.
        shape: of the answer; None: text.
        temperature: 0 to 2; None: the provider's default.
    """

    model: str
    messages: tuple[Message, ...]
    most_tokens: int
    shape: Shape | None = None
    temperature: float | None = None

    @property
    def most_input_tokens(self) -> int:
        """How many tokens the question can be at most: none is less than a byte, whatever the tokeniser."""
        said = sum(len(message.text.encode()) + _ROUND_A_MESSAGE for message in self.messages)
        return said + _ROUND_ALL + (len(json.dumps(self.shape.schema)) if self.shape else 0)


# Roles and separators: three or four tokens a message in published tokenisers, and chat templates of others.
_ROUND_A_MESSAGE = 16
_ROUND_ALL = 64


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a model answered.

    Attributes:
        text: empty where it said nothing, refused, or called a tool that nobody offered.
        refusal: why it would not answer, in its own words; empty where it did.
        is_cut_short: it came to the most tokens that it may have, or was stopped by a filter.
        input_tokens: what the API counts for the charge; None where it does not say.
        output_tokens: the same.
        raw: the answer itself, JSON; reading it again gives an equal answer.
    """

    text: str
    refusal: str
    is_cut_short: bool
    input_tokens: int | None
    output_tokens: int | None
    raw: str


def document_of(request: ChatRequest, dialect: Dialect, *, stream: bool = False) -> dict[str, Any]:
    """Return the body of a request, as a server takes it that speaks a dialect."""
    document: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": each.role, "content": each.text} for each in request.messages],
        dialect.most_tokens: request.most_tokens,
    }
    if request.temperature is not None and dialect.temperature:
        document["temperature"] = request.temperature
    if request.shape is not None and dialect.shape != "none":
        document["response_format"] = _format(request.shape, dialect)
    if stream:
        document["stream"] = True
        if dialect.usage:
            document["stream_options"] = {"include_usage": True}
    return document


def parse_chat(body: bytes, target: Target) -> ChatAnswer:
    """Read an answer, or what `ChatAnswer.raw` kept of one.

    Raises:
        BadAnswerError: no JSON object with a choice in it.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    choices = lenient.entries(parsed, "choices") if isinstance(parsed, dict) else []
    if not choices:
        said = read_complaint(body).text
        message = f"{target} sent an answer without a choice in it{f': {said}' if said else ''}"
        raise BadAnswerError(message, hint_for(BadAnswerError, target))
    return _answer(choices[0], parsed)


def answer_of(text: str, refusal: str, finish: str | None, usage: Mapping[str, Any]) -> ChatAnswer:
    """Make one answer of what came in pieces."""
    message = {"role": "assistant", "content": text, "refusal": refusal or None}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return _answer(choice, {"object": "chat.completion", "choices": [choice], "usage": dict(usage)})


def content_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message or of a piece of one: a string, or a list of parts with text in them."""
    content = message.get("content")
    if isinstance(content, str):
        return lenient.clean(content)
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, dict))
    return ""


def _text(part: Mapping[str, Any]) -> str:
    text = part.get("text")
    return lenient.clean(text) if isinstance(text, str) else ""


def _answer(choice: Mapping[str, Any], whole: Mapping[str, Any]) -> ChatAnswer:
    message = choice.get("message")
    message = message if isinstance(message, dict) else choice
    usage = whole.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return ChatAnswer(
        text=content_of(message),
        refusal=lenient.written(message, "refusal"),
        is_cut_short=choice.get("finish_reason") in {"length", "content_filter"},
        input_tokens=_count(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_count(usage, "completion_tokens", "output_tokens"),
        raw=json.dumps(whole),
    )


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    found: Sequence[int | None] = [lenient.count(usage.get(name)) for name in names]
    return next((each for each in found if each is not None), None)


def _format(shape: Shape, dialect: Dialect) -> dict[str, Any]:
    if dialect.shape == "object":
        return {"type": "json_object"}
    named = {"name": shape.name, "strict": True, "schema": dict(shape.schema)}
    return {"type": "json_schema", "json_schema": named}
