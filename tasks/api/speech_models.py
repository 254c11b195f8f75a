"""What each model that speaks can do, as data: ``speech_models.toml``, extended by the user's settings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from stenoflow.tasks.api.speech import SpeechFormat
from stenoflow.tasks.errors import SettingsError

_DATED_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
# In the order in which they are asked for where pieces are to be joined: without a loss, at what cost.
_TO_BE_JOINED: tuple[SpeechFormat, ...] = ("pcm", "wav", "flac")


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """The abilities of one model; ``speech_models.toml`` says what each field means."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    voices: tuple[str, ...]
    voice: str
    max_characters: Annotated[int, Field(ge=16)]
    formats: Annotated[tuple[SpeechFormat, ...], Field(min_length=1)]
    others: bool = False
    instructions: bool = False
    shutdown: date | None = None

    @property
    def piece_format(self) -> SpeechFormat:
        """The format to ask for where pieces are to be joined."""
        return next((known for known in _TO_BE_JOINED if known in self.formats), self.formats[0])


@dataclass(frozen=True, slots=True)
class SpeechModelTable:
    """All models that the table names, and what to assume of the others."""

    listed: Mapping[str, SpeechModel]
    default: SpeechModel

    def get(self, name: str) -> SpeechModel:
        """Return a model by name; a dated snapshot counts as its model."""
        found = self.listed.get(name) or self.listed.get(_DATED_SNAPSHOT.sub("", name)) or self.default
        return replace(found, name=name)


def load_speech_models(overrides: Mapping[str, Mapping[str, object]] | None = None) -> SpeechModelTable:
    """Read the table that ships with the package and lay the user's entries over it.

    Args:
        overrides: by model name, the keys to change or add.

    Raises:
        SettingsError: an override names an unknown key, or gives a value of the wrong kind.
    """
    shipped = tomllib.loads(files(__package__).joinpath("speech_models.toml").read_text("utf-8"))
    default: dict[str, object] = shipped["default"]
    entries: dict[str, dict[str, object]] = {
        name: default | entry for name, entry in shipped["models"].items()
    }
    for name, changes in (overrides or {}).items():
        entries[name] = entries.get(name, default) | dict(changes)
    return SpeechModelTable(
        listed={name: _checked(name, entry) for name, entry in entries.items()},
        default=_checked("default", default),
    )


def _checked(name: str, entry: Mapping[str, object]) -> SpeechModel:
    try:
        return TypeAdapter(SpeechModel).validate_python({**entry, "name": name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f'the entry of speech model "{name}": {where}: {first["msg"]}',
            'see [speech_models."NAME"] in stenoflow.toml',
        ) from error
