"""The reply in the API's shapes: whole, or in events."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from stenoflow.tasks.engine.api_errors import ApiErrorReply
from stenoflow.tasks.engine.chat.reply import Reply, reply_to
from stenoflow.tasks.engine.chat.request_schema import ChatForm, read_chat_form
from stenoflow.tasks.engine.request_schema import Body

_WORD = re.compile(r"\s*\S+|\s+")


def completed(body: Body, model: str, others: Collection[str] = ()) -> Response:
    """Answer a request to ``model``, the only one that chats, or to one of those that it stands in for.

    Raises:
        Problem: a field is missing or wrong, or it asks for another model.
    """
    wish = read_chat_form(body)
    if wish.model != model and wish.model not in others:
        message = f"The model '{wish.model}' does not exist, or does not chat (offered here: {model})"
        raise ApiErrorReply(404, message, "model", "model_not_found")
    return answer_chat(replace(wish, model=model), reply_to(wish))


def answer_chat(wish: ChatForm, reply: Reply) -> Response:
    """Answer a request as it asks to be answered."""
    if wish.stream:
        return StreamingResponse(_events(wish, reply), media_type="text/event-stream")
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    body = _head(wish.model, "chat.completion") | {"choices": [choice], "usage": reply.usage}
    return JSONResponse(body)


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _events(wish: ChatForm, reply: Reply) -> Iterator[str]:
    head = _head(wish.model, "chat.completion.chunk")

    def event(delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _data(head | {"choices": [choice]})

    yield event({"role": "assistant", "content": ""})
    for word in _WORD.findall(reply.text):
        yield event({"content": word})
    yield event({}, reply.finish_reason)
    if wish.include_usage:
        yield _data(head | {"choices": [], "usage": reply.usage})
    yield "data: [DONE]\n\n"


def _data(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
