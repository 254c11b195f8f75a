"""The reply to a message, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from stenoflow.tasks.engine.api_errors import invalid
from stenoflow.tasks.engine.chat.filling import Filler
from stenoflow.tasks.engine.chat.minutes import Minutes
from stenoflow.tasks.engine.chat.request_schema import ChatForm, ReplyFormat
from stenoflow.tasks.engine.chat.spoken import Sentence, sentences_of

_SAID = "You said:"
_NOTHING = "You said nothing."
_SENTENCES = 2
_MOST_ENTRIES = 12


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered.

    Attributes:
        text: or JSON.
        prompt_words: that were read.
        cut: the limit of words was reached.
    """

    text: str
    prompt_words: int
    cut: bool = False

    @property
    def finish_reason(self) -> str:
        """As the API names it."""
        return "length" if self.cut else "stop"

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, which are words here."""
        said = len(self.text.split())
        total = self.prompt_words + said
        return {"prompt_tokens": self.prompt_words, "completion_tokens": said, "total_tokens": total}


def reply_to(wish: ChatForm) -> Reply:
    """Answer a message out of its own sentences.

    Raises:
        Problem: the schema asks for what cannot be picked out of a message.
    """
    sentences = sentences_of(wish.message)
    match wish.format:
        case ReplyFormat.TEXT:
            words = _spoken(sentences).split(" ")
            text = " ".join(words[: wish.most_words])
            return Reply(text, wish.prompt_words, cut=len(words) > wish.most_words)
        case ReplyFormat.JSON_OBJECT:
            schema: dict[str, Any] = {"type": "object", "properties": {"summary": {"type": "string"}}}
        case ReplyFormat.JSON_SCHEMA:
            schema = wish.schema or {}
    return Reply(_fitting(lambda most: _filled(schema, sentences, most), wish.most_words), wish.prompt_words)


def _spoken(sentences: list[Sentence]) -> str:
    chosen = Minutes(sentences).summary(_SENTENCES)
    return " ".join([_SAID, *(each.text for each in chosen)]) if chosen else _NOTHING


def _filled(schema: dict[str, Any], sentences: list[Sentence], most: int) -> str:
    try:
        value = Filler(schema, Minutes(sentences, most)).filled("summary")
    except (KeyError, TypeError, AttributeError) as error:
        raise invalid("response_format", f"The schema cannot be followed: {error!r}") from error
    if wrong := next(Draft202012Validator(schema).iter_errors(value), None):
        message = f"The schema asks for what cannot be picked out of a message: {wrong.message}"
        raise invalid("response_format", message, "unsupported_value")
    return json.dumps(value, ensure_ascii=False)


def _fitting(make: Callable[[int], str], most_words: int) -> str:
    """Make an answer with as many entries as the words allow; JSON cannot be cut off."""
    text = ""
    for most in range(_MOST_ENTRIES, -1, -1):
        text = make(most)
        if len(text.split()) <= most_words:
            break
    return text
