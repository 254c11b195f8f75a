"""The table of providers, as data: ``providers.toml``, extended by ``[providers.NAME]`` in the settings."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from stenoflow.tasks.api.models import Model
from stenoflow.tasks.errors import SettingsError, place, reason

EMBEDDED = "embedded"
"""The embedded engine, as prices and charges name it."""

POCKETSPHINX = "pocketsphinx"
"""Its model of last resort, which every installation has."""

_HINT = "see [providers.NAME] in stenoflow.toml"

DialectName = Literal["openai", "azure", "mistral", "deepgram", "whisper.cpp"]
_Limit = Annotated[int, Field(gt=0)] | None
_LONGEST_CALL_S = 24 * 3_600


@dataclass(frozen=True, slots=True)
class Provider:
    """One server that can be asked; ``providers.toml`` says what each field means."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    base_url: str = ""
    hosts: tuple[str, ...] = ()
    key_env: str = ""
    header: str = "Authorization"
    scheme: str = "Bearer"
    dialect: DialectName = "openai"
    api_version: str = ""
    deployments: Mapping[str, str] = field(default_factory=dict)
    max_seconds: _Limit = None
    max_bytes: _Limit = None
    deadline_s: Annotated[float, Field(gt=0, le=_LONGEST_CALL_S)] | None = None
    source: str = ""
    read_on: date | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether it is the embedded engine, in this process."""
        return self.name == EMBEDDED

    def sent_name(self, model: str) -> str:
        """Return what a model is called there: at Azure, its deployment."""
        return next((each for each, of in self.deployments.items() if of == model), model)

    def known_name(self, said: str) -> str:
        """Return the model that a user means, who may have named its deployment."""
        return self.deployments.get(said, said)

    def limited(self, model: Model) -> Model:
        """Return a model with no more than this server takes in one call."""
        seconds = min(filter(None, (model.max_seconds, self.max_seconds)), default=None)
        size = min(filter(None, (model.max_bytes, self.max_bytes)), default=None)
        return replace(model, max_seconds=seconds, max_bytes=size)

    def is_at(self, host: str) -> bool:
        """Tell whether a host is this provider's; one of one's own may be named after its host."""
        return host == self.name or any(
            host == each or (each.startswith(".") and host.endswith(each)) for each in self.hosts
        )


@dataclass(frozen=True, slots=True)
class ProviderTable:
    """All providers that are named, and what to assume of the others."""

    listed: Mapping[str, Provider]
    default: Provider

    def get(self, name: str) -> Provider:
        """Return a provider by name.

        Raises:
            SettingsError: there is none of that name, or nobody says where it is.
        """
        if name == EMBEDDED:
            return Provider(EMBEDDED)
        found = self.listed.get(name)
        if found is None:
            raise SettingsError(
                f"there is no provider {name}", f"known are {', '.join([*self.listed, EMBEDDED])}; {_HINT}"
            )
        if not found.base_url:
            raise SettingsError(f"nobody says where {name} is", f"set base_url: {_HINT}")
        if not is_address(found.base_url):
            raise SettingsError(
                f"the base_url of the provider {name} is not an http or https URL", f"correct it: {_HINT}"
            )
        return found

    def at(self, base_url: str) -> Provider:
        """Return who is at an address: a known one by its host, else what is assumed, named after it."""
        check_address(base_url)
        host = urlsplit(base_url).hostname or ""
        for each in self.listed.values():
            if each.is_at(host):
                return replace(each, base_url=base_url)
        return replace(self.default, name=host, base_url=base_url)


def is_address(url: str, schemes: Collection[str] = ("http", "https")) -> bool:
    """Tell whether an address names a server: by a scheme, a host, and a port that there can be, if any."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and " " not in parts.netloc
        )
    except ValueError:
        return False


def check_address(base_url: str) -> None:
    """Raise SettingsError where an address is not one of an API."""
    if not is_address(base_url):
        raise SettingsError(
            "the API's address is not an http or https URL",
            "set OPENAI_BASE_URL to something like https://api.openai.com/v1",
        )


def load_providers(overrides: Mapping[str, Mapping[str, object]] | None = None) -> ProviderTable:
    """Read the table that ships with the package and lay the user's entries over it.

    Args:
        overrides: by name, the keys to change or add.

    Raises:
        SettingsError: an override names an unknown key, or gives a value of the wrong kind.
    """
    shipped = _shipped()
    table = _shipped_table()
    # Of a server of one's own nothing is known but what is said.
    changed = {
        name: _checked(name, shipped["providers"].get(name, shipped["default"]) | dict(changes))
        for name, changes in (overrides or {}).items()
    }
    return replace(table, listed={**table.listed, **changed})


@cache
def _shipped() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("providers.toml").read_text("utf-8"))


@cache
def _shipped_table() -> ProviderTable:
    shipped = _shipped()
    listed = {name: _checked(name, entry) for name, entry in shipped["providers"].items()}
    return ProviderTable(listed, _checked("default", shipped["default"]))


@cache
def _adapter() -> TypeAdapter[Provider]:
    return TypeAdapter(Provider)


def _checked(name: str, entry: Mapping[str, Any]) -> Provider:
    try:
        provider = _adapter().validate_python({**entry, "name": name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(
            f'the provider "{name}": {place(first, entry)} cannot be used: {reason(first)}', _HINT
        ) from error
    models = list(provider.deployments.values())
    if twice := {each for each in models if models.count(each) > 1}:
        raise SettingsError(
            f'the provider "{name}" has several deployments of {", ".join(sorted(twice))}',
            "make a provider of its own for each: [providers.OTHER]",
        )
    return provider
