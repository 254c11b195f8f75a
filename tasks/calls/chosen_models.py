"""The models that a job asks: by default, of those that its provider offers, the first that lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.chat_models import load_chat_models
from stenoflow.tasks.api.model_table import ModelKind, ModelListing, ModelTable, UsedModel, order_at, today
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.providers import EMBEDDED, Provider
from stenoflow.tasks.api.speech_models import load_speech_models
from stenoflow.tasks.calls.offers import Offers, known_offers
from stenoflow.tasks.calls.provider import Asked, asked_for, embedded_model
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

M = TypeVar("M", bound=ModelListing)

_DOES = {ModelKind.TRANSCRIPTION: "transcribes", ModelKind.CHAT: "chats", ModelKind.SPEECH: "speaks"}
_ASKED = {
    JobKind.TRANSCRIBE: ModelKind.TRANSCRIPTION,
    JobKind.MINUTES: ModelKind.CHAT,
    JobKind.REPLY: ModelKind.CHAT,
    JobKind.SPEAK: ModelKind.SPEECH,
}
SETTING = {
    ModelKind.TRANSCRIPTION: "STENOFLOW_MODEL",
    ModelKind.CHAT: "STENOFLOW_CHAT_MODEL",
    ModelKind.SPEECH: "STENOFLOW_SPEECH_MODEL",
}
"""What names a model of a kind."""


def transcription_model(settings: Settings, wanted: str | None = None) -> str:
    """Return the model that transcribes: the wanted one, the settings', or the default.

    Raises:
        SettingsError: none is named, and the provider offers none that lives.
    """
    return transcription_model_at(settings, asked_for(settings), wanted or settings.model)


def transcription_model_at(settings: Settings, at: Asked, named: str | None = None) -> str:
    """Return the model that transcribes at a provider: the named one, or the default; raises as above."""
    asked = at.provider
    if named:
        return asked.known_name(named)
    if not asked.is_embedded:
        return _default(load_models(settings.models), asked, known_offers(settings, at))
    # What the settings name is of another provider.
    return embedded_model(settings.model_copy(update={"model": None}), None).name


def chat_model(settings: Settings, wanted: str | None = None) -> str:
    """Return the model that writes: the wanted one, the settings', or the default; raises as above."""
    at = asked_for(settings, ModelKind.CHAT)
    named = wanted or settings.chat_model
    if named:
        return at.provider.known_name(named)
    return _default(load_chat_models(settings.chat_models), at.provider, known_offers(settings, at))


def speech_model(settings: Settings, wanted: str | None = None) -> str:
    """Return the model that speaks: the wanted one, the settings', or the default.

    Raises:
        SettingsError: none is named, and the provider offers none that lives, or the embedded engine has
            no voice on this machine.
    """
    at = asked_for(settings, ModelKind.SPEECH)
    named = wanted or settings.speech_model
    if named:
        return at.provider.known_name(named)
    if not at.provider.is_embedded:
        return _default(load_speech_models(settings.speech_models), at.provider, known_offers(settings, at))
    from stenoflow.tasks.engine.engine import find_synthesizers  # noqa: PLC0415 - loads slowly

    # The better one first; what there is depends on the programs of this machine.
    found = next(iter(find_synthesizers()), None)
    if found is None:
        raise SettingsError(
            "the embedded engine has no voice on this machine",
            'install flite or pip install "stenoflow[speech]", or set OPENAI_API_KEY or OPENAI_BASE_URL',
        )
    return found


CHOOSE: Mapping[ModelKind, Callable[[Settings], str]] = {
    ModelKind.TRANSCRIPTION: transcription_model,
    ModelKind.CHAT: chat_model,
    ModelKind.SPEECH: speech_model,
}
"""What says which model is taken where none is named."""


def _default(table: ModelTable[M], asked: Provider, offers: Offers | None) -> str:
    """Return the first model of a provider's order that is not past its end, of those that it offers.

    Where it offers none of these, another one of its that the table has, or one that is called as the order
    says; where nobody knows what it offers, the first.
    """
    provider = asked.name
    order, now = order_at(provider, table.kind), today()
    named = [name for name in order if "*" not in name]
    living = [name for name in named if _lives(table.get(name), asked, offers, now)]
    if offers is not None and order:
        others = (name for name, each in table.listed.items() if _lives(each, asked, offers, now))
        for name in (*living, *others, *_called_so(order, table, asked, offers)):
            if asked.sent_name(name) in offers:
                return name
    # What is deployed at Azure, the settings say.
    deployed = (name for name in asked.deployments.values() if name in table.listed)
    for name in (*living, *deployed):
        if _lives(table.get(name), asked, offers, now):
            return name
    ended = ", ".join(f"{name} ended on {table.get(name).last_day(provider)}" for name in named)
    raise SettingsError(
        f"{provider} offers no model that {_DOES[table.kind]}{f': {ended}' if ended else ''}",
        f"{SETTING[table.kind]} names a model, and STENOFLOW_{table.kind.upper()}_PROVIDER who has it (see"
        f" [providers.NAME]), or OPENAI_BASE_URL: {_servers(table)}",
    )


def _called_so(order: Sequence[str], table: ModelTable[M], asked: Provider, offers: Offers) -> Iterator[str]:
    """Yield what a provider offers and is called as the order says by names with a ``*``."""
    for pattern in order:
        for name in offers if "*" in pattern else ():
            if fnmatchcase(name.lower(), pattern) and _lives(table.get(name), asked, offers, today()):
                yield name


def _lives(listing: ModelListing, asked: Provider, offers: Offers | None, now: date) -> bool:
    """Tell whether a model is not past its end at a provider, by the table and by its own word."""
    told = (offers or {}).get(asked.sent_name(listing.name))
    days = [listing.last_day(asked.name), told.shutdown if told else None]
    return all(day is None or day >= now for day in days)


def _servers(table: ModelTable[M]) -> str:
    """Name what can do it elsewhere."""
    now = today()
    able = [
        name
        for name, each in table.listed.items()
        if EMBEDDED not in each.providers and not (each.shutdown and each.shutdown < now)
    ]
    ours = "stenoflow engine, speaches or LocalAI" if table.kind is ModelKind.SPEECH else "stenoflow engine"
    return f"{ours}, or a gateway with {' or '.join(able)}" if able else ours


def used_models(job: Job) -> Iterator[UsedModel]:
    """Yield what a job asks: its own model, and those that translate or read aloud what it makes."""
    settings: Mapping[str, Any] = job.settings
    kind, provider = _ASKED[JobKind(job.kind)], settings["provider"]
    yield UsedModel(kind, provider, settings["model"])
    for other in settings.get("others", ()):
        where, _, model = other.partition(":")
        yield UsedModel(ModelKind.TRANSCRIPTION, where, model)
    if translator := settings.get("translator"):
        yield UsedModel(ModelKind.CHAT, settings.get("translator_provider") or provider, translator)
    if speech := settings.get("speech"):
        yield UsedModel(ModelKind.SPEECH, speech["provider"], speech["model"])
