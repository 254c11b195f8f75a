"""The table of models: what each can do, where it is offered and until when; read from ``models.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from stenoflow.tasks.errors import SettingsError, place, reason

NOTICE_DAYS = 60
"""How long before a model's last day its use is warned of."""
OTHER = "other"
"""Stands in the table's orders for servers that it does not name."""

_DATED_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class ModelKind(StrEnum):
    """What a model does."""

    TRANSCRIPTION = "transcription"
    CHAT = "chat"
    SPEECH = "speech"


_OVERRIDDEN_IN = {
    ModelKind.TRANSCRIPTION: "models",
    ModelKind.CHAT: "chat_models",
    ModelKind.SPEECH: "speech_models",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelListing:
    """What the table says of a model of any kind.

    Attributes:
        providers: that offer it, and that the other keys are about; the first is its maker. Empty: not known.
        shutdown: its announced last day there; False: it has none, whatever the table that ships says.
        successor: what to take in its place.
        source: where this was read.
        read_on: when.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    providers: tuple[str, ...] = ()
    shutdown: date | Literal[False] | None = None
    successor: str | None = None
    source: str = ""
    read_on: date | None = None

    def last_day(self, provider: str) -> date | None:
        """Return its last day at a provider; None: it is not known to end there.

        A server that the table does not name may pass its calls on to the model's maker, whose word counts.
        """
        if not self.shutdown or (provider in listed_providers() and provider not in self.providers):
            return None
        return self.shutdown

    def remark(self, provider: str, now: date, last: date | None = None) -> str | None:
        """Say that its end at a provider is near or past; None where it is neither.

        Args:
            provider: who is asked.
            now: today.
            last: its last day by the provider's own word; None: as the table has it.
        """
        told, last = last, last or self.last_day(provider)
        if last is None or (last - now).days > NOTICE_DAYS:
            return None
        # Of an entry that names nobody, it is who is asked.
        maker = next(iter(self.providers), provider)
        who = provider if told or provider in listed_providers() else maker
        text = f"{self.name} {'ended' if last < now else 'ends'} at {who} on {last}"
        if last >= now:
            text += f", in {(last - now).days} days"
        if self.successor:
            text += f"; take {self.successor} in its place"
        return text if who == provider else f"{text} (does {provider} pass calls on to {who}?)"


@dataclass(frozen=True, slots=True)
class UsedModel:
    """A model at a provider, as a job uses it."""

    kind: ModelKind
    provider: str
    name: str


M = TypeVar("M", bound=ModelListing)


@dataclass(frozen=True, slots=True)
class ModelTable(Generic[M]):
    """All models of a kind that the table names, and what to assume of the others."""

    kind: ModelKind
    listed: Mapping[str, M]
    default: M

    def get(self, name: str) -> M:
        """Return a model by name; a dated snapshot counts as its model, the unknown as the default."""
        found = self.listed.get(name) or self.listed.get(without_date(name)) or self.default
        return replace(found, name=name)


def without_date(name: str) -> str:
    """Return the name of the model that a dated snapshot is one of."""
    return _DATED_SNAPSHOT.sub("", name)


def today() -> date:
    """Return the day by UTC: last days are held against it."""
    return datetime.now(UTC).date()


def load_table(
    kind: ModelKind, of: type[M], overrides: Mapping[str, Mapping[str, object]] | None = None
) -> ModelTable[M]:
    """Read the models of a kind and lay the user's entries over them.

    Args:
        kind: which.
        of: what an entry becomes.
        overrides: by model name, the keys to change or add.

    Raises:
        SettingsError: an override names an unknown key, or gives a value of the wrong kind.
    """
    entries, default = _entries(kind), _shipped()[kind]["default"]
    table: ModelTable[M] = _shipped_table(kind, cast("Hashable", of))
    changed = {
        name: _checked(kind, of, name, entries.get(name, default) | dict(changes))
        for name, changes in (overrides or {}).items()
    }
    return replace(table, listed={**table.listed, **changed})


def _entries(kind: ModelKind) -> Mapping[str, dict[str, object]]:
    shipped = _shipped()[kind]
    return {name: shipped["default"] | entry for name, entry in shipped["models"].items()}


@cache
def _shipped_table(kind: ModelKind, of: type[Any]) -> ModelTable[Any]:
    listed = {name: _checked(kind, of, name, entry) for name, entry in _entries(kind).items()}
    return ModelTable(kind, listed, _checked(kind, of, "default", _shipped()[kind]["default"]))


def order_at(provider: str, kind: ModelKind) -> Sequence[str]:
    """Return the models that are taken by default at a provider, the first that lives."""
    orders = _shipped()["order"]
    found: Sequence[str] = orders.get(provider, orders[OTHER]).get(kind, ())
    return found


@cache
def listed_providers() -> frozenset[str]:
    """Return the providers of which the table knows what they offer."""
    return frozenset(_shipped()["order"]) - {OTHER}


@cache
def _shipped() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("models.toml").read_text("utf-8"))


def _checked(kind: ModelKind, of: type[M], name: str, entry: Mapping[str, object]) -> M:
    try:
        found: M = _adapter(cast("Hashable", of)).validate_python({**entry, "name": name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = "model" if kind is ModelKind.TRANSCRIPTION else f"{kind} model"
        raise SettingsError(
            f'the entry of {what} "{name}": {place(first, entry)} cannot be used: {reason(first)}',
            f'see [{_OVERRIDDEN_IN[kind]}."NAME"] in stenoflow.toml',
        ) from error
    return found


@cache
def _adapter(of: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(of)
