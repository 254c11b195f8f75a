"""The table of chat models: how much each takes, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stenoflow.tasks.api.model_table import ModelKind, ModelListing, ModelTable, load_table


class ContextTooSmallError(ValueError):
    """A chat model's context is too small for what it is to be asked."""


@dataclass(frozen=True, slots=True)
class ChatModel(ModelListing):
    """One chat model; sizes in tokens.

    Attributes:
        context: what a question and its answer may have together.
        answer: what an answer is allowed.
        translates: whether it can be asked to.
        reasoning_effort: what is asked for; None: the field is not sent.
        marks_thoughts: whether what it thinks aloud, if anything, always begins with a mark.
    """

    context: Annotated[int, Field(ge=1024)]
    answer: Annotated[int, Field(ge=256)]
    translates: bool = True
    reasoning_effort: str | None = None
    marks_thoughts: bool = False


def load_chat_models(overrides: Mapping[str, Mapping[str, object]] | None = None) -> ModelTable[ChatModel]:
    """Read the chat models; see `load_table`."""
    return load_table(ModelKind.CHAT, ChatModel, overrides)
