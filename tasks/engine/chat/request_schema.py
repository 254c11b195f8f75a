"""What a request to chat asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from stenoflow.tasks.engine.api_errors import invalid
from stenoflow.tasks.engine.request_schema import Body, number_field, text_field

_NO_LIMIT = 1_000_000
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class ReplyFormat(StrEnum):
    """The values of response_format.type."""

    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class ChatForm:
    """What a request to chat asks for.

    Attributes:
        message: the last one of the user, which is answered.
        prompt_words: in all messages.
        schema: of the answer, for JSON_SCHEMA.
        most_words: that the answer may have.
        stream: it comes in events; ``include_usage``: with a last one that counts.
    """

    model: str
    message: str
    prompt_words: int
    format: ReplyFormat
    schema: dict[str, Any] | None
    most_words: int
    stream: bool
    include_usage: bool


def read_chat_form(body: Body) -> ChatForm:
    """Read the fields of a request; what steers a language model (temperature, seed ...) is passed over.

    Raises:
        Problem: a field is missing or wrong; it is named.
    """
    model = text_field(body, "model")
    messages = list(_messages(body))
    asked = [text for role, text in messages if role == "user"]
    if not asked:
        raise invalid("messages", "There is no message of the user to answer")
    if body.get("tools") or body.get("functions"):
        raise invalid("tools", "This model calls no tools", "unsupported_parameter")
    if number_field(body, "n", 1, 1, 128) != 1:
        raise invalid("n", "This model gives one answer", "unsupported_value")
    reply_format, schema = _format(body)
    options = body.get("stream_options")
    return ChatForm(
        model=model,
        message=asked[-1],
        prompt_words=sum(len(text.split()) for _, text in messages),
        format=reply_format,
        schema=schema,
        most_words=_most_words(body),
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


def _format(body: Body) -> tuple[ReplyFormat, dict[str, Any] | None]:
    wanted = body.get("response_format") or {"type": "text"}
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    try:
        reply_format = ReplyFormat(str(kind))
    except ValueError:
        listed = ", ".join(ReplyFormat)
        raise invalid("response_format", f"response_format.type is none of {listed}") from None
    if reply_format is not ReplyFormat.JSON_SCHEMA:
        return reply_format, None
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise invalid("response_format", "response_format.json_schema.schema is missing")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise invalid("response_format", f"This is no JSON schema: {error.message}") from None
    if not all(reference.startswith("#") for reference in _references(schema)):
        raise invalid("response_format", "The schema may refer to itself only (#/...)")
    return reply_format, schema


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _most_words(body: Body) -> int:
    name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    return int(number_field(body, name, _NO_LIMIT, 1, _NO_LIMIT))


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(name, f"{name} must be true or false", "invalid_type")
    return bool(value)
