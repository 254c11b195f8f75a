"""What the misbehaving API does under /v1/chat/completions, by name; it keeps its own bill here, too."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.audio_api_modes import MODES, Exchange, refuse

Document = dict[str, Any]
Chatter = Callable[[Document], str]
_LINE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Chat:
    """One question, as its provider would bill it."""

    mode: str
    document: Document
    charged: bool
    read: int
    written: int


def minutes(document: Document) -> str:
    """Answer with minutes: what stands in the last message's first line, and a decision in its last."""
    lines = _LINE.findall(document["messages"][-1]["content"])
    (first, opening), (last, end) = lines[0], lines[-1]
    found = {
        "summary": [{"text": f"It began: {opening}", "line": int(first)}],
        "decisions": [{"text": f"It was decided: {end}", "line": int(last)}],
        "action_items": [{"text": "Write it up", "line": int(last), "owner": "Anna", "due": "Friday"}],
        "open_questions": [{"text": "Who pays?", "line": int(first)}],
    }
    return json.dumps(found)


@dataclass
class ChatMode:
    """One behaviour: what becomes of the answer, or which field is refused."""

    change: Callable[[Document], Document] = lambda whole: whole
    refuses: Callable[[Document], str | None] = lambda _: None
    breaks_off: bool = False


def _message(**parts: Any) -> Callable[[Document], Document]:
    def change(whole: Document) -> Document:
        choice = whole["choices"][0]
        return {**whole, "choices": [{**choice, "message": {**choice["message"], **parts}}]}

    return change


def _choice(**parts: Any) -> Callable[[Document], Document]:
    return lambda whole: {**whole, "choices": [{**whole["choices"][0], **parts}]}


def _fenced(whole: Document) -> Document:
    text = whole["choices"][0]["message"]["content"]
    return _message(content=f"Here are the minutes:\n```json\n{text}\n```\nAnything else?")(whole)


def _refusing(field_: str, message: str) -> ChatMode:
    return ChatMode(refuses=lambda asked: message if field_ in asked else None)


def _refuses_schema(asked: Document) -> str | None:
    if asked.get("response_format", {}).get("type") != "json_schema":
        return None
    return "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."


_TOOL = {"id": "1", "type": "function", "function": {"name": "send_mail", "arguments": "{}"}}
CHAT_MODES: dict[str, ChatMode] = {
    "ok": ChatMode(),
    "refuses-schema": ChatMode(refuses=_refuses_schema),
    "refuses-format": _refusing("response_format", "Unknown field: response_format"),
    "refuses-max-tokens": _refusing(
        "max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    ),
    "refuses-temperature": _refusing("temperature", "Unsupported value: 'temperature' must be 1."),
    "refuses-stream-options": _refusing("stream_options", "Unrecognized request argument: stream_options"),
    "too-long": ChatMode(refuses=lambda _: "This model's maximum context length is 8192 tokens."),
    "content-null": ChatMode(_message(content=None)),
    "content-parts": ChatMode(_message(content=[{"type": "text", "text": "In "}, {"text": "parts"}])),
    "refusal": ChatMode(_message(content=None, refusal="I will not.")),
    "tool-call": ChatMode(_message(content=None, tool_calls=[_TOOL])),
    "cut-short": ChatMode(_choice(finish_reason="length")),
    "fenced": ChatMode(_fenced),
    "no-usage": ChatMode(lambda whole: {name: value for name, value in whole.items() if name != "usage"}),
    "no-choices": ChatMode(lambda whole: {**whole, "choices": []}),
    "breaks-off": ChatMode(breaks_off=True),
}


@dataclass
class ChatDesk:
    """Answers questions; ``chats`` is its bill."""

    chatter: Chatter = minutes
    chats: list[Chat] = field(default_factory=list)
    streams: bool = True
    _held: tuple[int, threading.Event] | None = None

    def hold_after(self, words: int) -> threading.Event:
        """Give so many words of a stream, and the others once the event is set."""
        self._held = (words, threading.Event())
        return self._held[1]

    def serve(self, exchange: Exchange, name: str, body: bytes) -> None:
        asked = json.loads(body)
        if name not in CHAT_MODES:
            general = MODES[name]
            self.chats.append(Chat(name, asked, general.charged(exchange), 0, 0))
            general.act(exchange)
            return
        mode = CHAT_MODES[name]
        reason = mode.refuses(asked)
        if reason is not None:
            self.chats.append(Chat(name, asked, charged=False, read=0, written=0))
            refuse(exchange, 400, reason)
            return
        text = self.chatter(asked)
        read, written = len(json.dumps(asked["messages"])) // 4, len(text) // 4
        self.chats.append(Chat(name, asked, charged=True, read=read, written=written))
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        whole = mode.change({"object": "chat.completion", "choices": [choice], "usage": usage})
        if not asked.get("stream") or not self.streams:
            exchange.answer(200, whole)
            return
        exchange.raw(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n")
        for number, piece in enumerate(_pieces(asked, whole, breaks_off=mode.breaks_off)):
            # The first is a comment; a word is two pieces.
            if self._held is not None and number == 1 + 2 * self._held[0]:
                self._held[1].wait()
            exchange.raw(piece)
        exchange.close()


def _pieces(asked: Document, whole: Document, *, breaks_off: bool) -> Iterator[bytes]:
    """Yield an answer as events; cut where a reader must not mind, amid a line."""
    yield b": a comment\n\n"
    choice = whole["choices"][0]
    words = re.findall(r"\S+\s*", choice["message"]["content"] or "")
    for word in words[: len(words) // 2] if breaks_off else words:
        event = f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': word}}]})}\n\n".encode()
        yield event[:20]
        yield event[20:]
    if breaks_off:
        return
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield f"data: {json.dumps(end)}\n\n".encode()
    if asked.get("stream_options", {}).get("include_usage") and "usage" in whole:
        yield f"data: {json.dumps({'choices': [], 'usage': whole['usage']})}\n\n".encode()
    yield b"data: [DONE]\n\n"
