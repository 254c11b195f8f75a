"""How much each chat model takes, as data: ``chat_models.toml``, extended by the user's settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from stenoflow.tasks.api.models import without_date
from stenoflow.tasks.errors import SettingsError


class ContextTooSmallError(ValueError):
    """A chat model's context is too small for what it is to be asked."""


@dataclass(frozen=True, slots=True)
class ChatModel:
    """One chat model; sizes in tokens.

    Attributes:
        context: what a question and its answer may have together.
        answer: what an answer is allowed.
        translates: whether it can be asked to.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    context: Annotated[int, Field(ge=1024)]
    answer: Annotated[int, Field(ge=256)]
    translates: bool = True


@dataclass(frozen=True, slots=True)
class ChatModelTable:
    """All chat models that the table names, and what to assume of the others."""

    listed: Mapping[str, ChatModel]
    default: ChatModel

    def get(self, name: str) -> ChatModel:
        """Return a model by name; a dated snapshot counts as its model."""
        return self.listed.get(name) or self.listed.get(without_date(name)) or self.default


def load_chat_models(overrides: Mapping[str, Mapping[str, object]] | None = None) -> ChatModelTable:
    """Read the table that ships with the package and lay the user's entries over it.

    Raises:
        SettingsError: an override names an unknown key, or gives a value of the wrong kind.
    """
    shipped = tomllib.loads(files(__package__).joinpath("chat_models.toml").read_text("utf-8"))
    default: dict[str, object] = shipped["default"]
    entries: dict[str, dict[str, object]] = dict(shipped["models"])
    for name, changes in (overrides or {}).items():
        entries[name] = entries.get(name, default) | dict(changes)
    return ChatModelTable(
        {name: _checked(name, entry) for name, entry in entries.items()}, _checked("default", default)
    )


def _checked(name: str, entry: Mapping[str, object]) -> ChatModel:
    try:
        return TypeAdapter(ChatModel).validate_python(entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f'the entry of chat model "{name}": {where}: {first["msg"]}',
            'see [chat_models."NAME"] in stenoflow.toml',
        ) from error
