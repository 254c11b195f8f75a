"""Chat completions: the request, how servers differ in it, and the answer, whole or as a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stenoflow.tasks.api import types as coerce
from stenoflow.tasks.api.error_body import hint_for, read_complaint
from stenoflow.tasks.api.errors import BadAnswerError, FormatRefusedError, SegmentRefusedError
from stenoflow.tasks.api.thoughts import ThoughtFilter, without_thoughts
from stenoflow.tasks.api.types import Target


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
        effort: how long it is to think before it answers; None: the field is not sent.
    """

    model: str
    messages: tuple[Message, ...]
    most_tokens: int
    shape: Shape | None = None
    temperature: float | None = None
    effort: str | None = None

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
        text: without what it thought aloud; empty where it said nothing, refused, or called a tool that
            nobody offered.
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
    if request.effort is not None and dialect.effort:
        document["reasoning_effort"] = request.effort
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
        parsed = coerce.load_json(body)
    except (ValueError, RecursionError):
        parsed = None
    choices = coerce.entries(parsed, "choices") if isinstance(parsed, dict) else []
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
        return coerce.clean(content)
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, dict) and not _is_thought(part))
    return ""


def _is_thought(part: Mapping[str, Any]) -> bool:
    return str(part.get("type")).startswith(("think", "reason", "thought"))


def _text(part: Mapping[str, Any]) -> str:
    text = part.get("text")
    return coerce.clean(text) if isinstance(text, str) else ""


def _answer(choice: Mapping[str, Any], whole: Mapping[str, Any]) -> ChatAnswer:
    message = choice.get("message")
    message = message if isinstance(message, dict) else choice
    usage = whole.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return ChatAnswer(
        text=without_thoughts(content_of(message)),
        refusal=coerce.written(message, "refusal"),
        is_cut_short=choice.get("finish_reason") in {"length", "content_filter"},
        input_tokens=_count(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_count(usage, "completion_tokens", "output_tokens"),
        raw=json.dumps(whole),
    )


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    found: Sequence[int | None] = [coerce.count(usage.get(name)) for name in names]
    return next((each for each in found if each is not None), None)


def _format(shape: Shape, dialect: Dialect) -> dict[str, Any]:
    if dialect.shape == "object":
        return {"type": "json_object"}
    named = {"name": shape.name, "strict": True, "schema": dict(shape.schema)}
    return {"type": "json_schema", "json_schema": named}


_ABOUT_FORMAT = re.compile(r"response_format|json_schema|json_object|structured output", re.IGNORECASE)
_ABOUT_TOKENS = re.compile(r"\bmax_(completion_)?tokens\b")
_ABOUT_TEMPERATURE = re.compile(r"\btemperature\b", re.IGNORECASE)
_ABOUT_EFFORT = re.compile(r"reasoning[._ ]effort", re.IGNORECASE)
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
        effort: whether it can be told how long to think.
        usage: whether a stream can be asked to end with its usage.
    """

    shape: Literal["schema", "object", "none"] = "schema"
    most_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    effort: bool = True
    usage: bool = True

    def after(self, refusal: SegmentRefusedError) -> Dialect | None:
        """Return how to ask instead; None where the refusal is not about how it was asked."""
        said = refusal.message
        if _ABOUT_TOKENS.search(said) and self.most_tokens == "max_tokens":
            return replace(self, most_tokens="max_completion_tokens")
        if _ABOUT_USAGE.search(said) and self.usage:
            return replace(self, usage=False)
        if _ABOUT_EFFORT.search(said) and self.effort:
            return replace(self, effort=False)
        if _ABOUT_TEMPERATURE.search(said) and self.temperature:
            return replace(self, temperature=False)
        about_format = isinstance(refusal, FormatRefusedError) or _ABOUT_FORMAT.search(said) is not None
        if about_format and self.shape != "none":
            return replace(self, shape="object" if self.shape == "schema" else "none")
        return None


_DATA = "data:"
_END = "[DONE]"


@dataclass(slots=True)
class Pieces:
    """What has come of an answer. Feed it the lines of the stream, in order.

    Attributes:
        on_text: given each piece of text as it comes, without what is thought aloud.
        thoughts: takes that out.
    """

    target: Target
    on_text: Callable[[str], object]
    thoughts: ThoughtFilter = field(default_factory=ThoughtFilter)
    _text: list[str] = field(default_factory=list)
    _refusal: list[str] = field(default_factory=list)
    _finish: str | None = None
    _usage: Mapping[str, Any] = field(default_factory=dict)
    _has_come: bool = False
    _has_ended: bool = False

    def take(self, line: str) -> None:
        """Take one line. Raises BadAnswerError where the server says that it failed midway."""
        if not line.startswith(_DATA):
            return
        said = line.removeprefix(_DATA).strip()
        if said == _END:
            self._has_ended = True
            return
        try:
            piece = coerce.load_json(said)
        except (ValueError, RecursionError):
            return
        if isinstance(piece, dict):
            self._take(piece, said)

    def answer(self) -> ChatAnswer:
        """Return the whole of it. Raises BadAnswerError for a stream that ended without an end."""
        if not self._has_come:
            raise self._bad("sent a stream without a choice in it")
        if not self._has_ended and self._finish is None:
            raise self._bad("ended its answer midway")
        self._tell(self.thoughts.close())
        return answer_of("".join(self._text), "".join(self._refusal), self._finish, self._usage)

    def _take(self, piece: Mapping[str, Any], said: str) -> None:
        if piece.get("error"):
            raise self._bad(f"failed midway: {read_complaint(said.encode()).text}")
        usage = piece.get("usage")
        self._usage = usage if isinstance(usage, dict) else self._usage
        for choice in coerce.entries(piece, "choices")[:1]:
            self._has_come = True
            finish = choice.get("finish_reason")
            self._finish = finish if isinstance(finish, str) else self._finish
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._refusal.append(coerce.written(delta, "refusal"))
                text = content_of(delta)
                self._text.append(text)
                self._tell(self.thoughts.take(text))

    def _tell(self, text: str) -> None:
        if text:
            self.on_text(text)

    def _bad(self, what: str) -> BadAnswerError:
        return BadAnswerError(f"{self.target} {what}", hint_for(BadAnswerError, self.target))
