"""Which models a job asks: by default, of those that its provider offers, the first that lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.chat_models import load_chat_models
from stenoflow.tasks.api.model_table import Kind, Listing, ModelTable, UsedModel, order_at, today
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.providers import EMBEDDED, Provider
from stenoflow.tasks.api.speech_models import load_speech_models
from stenoflow.tasks.calls.provider import asked_for, embedded_model
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

M = TypeVar("M", bound=Listing)

_DOES = {Kind.TRANSCRIPTION: "transcribes", Kind.CHAT: "chats", Kind.SPEECH: "speaks"}
_ASKED = {
    JobKind.TRANSCRIBE: Kind.TRANSCRIPTION,
    JobKind.MINUTES: Kind.CHAT,
    JobKind.REPLY: Kind.CHAT,
    JobKind.SPEAK: Kind.SPEECH,
}
_SETTING = {
    Kind.TRANSCRIPTION: "STENOFLOW_MODEL",
    Kind.CHAT: "STENOFLOW_CHAT_MODEL",
    Kind.SPEECH: "STENOFLOW_SPEECH_MODEL",
}


def transcription_model(settings: Settings, wanted: str | None = None) -> str:
    """Return the model that transcribes: the wanted one, the settings', or the default.

    Raises:
        SettingsError: none is named, and the provider offers none that lives.
    """
    return transcription_model_at(settings, asked_for(settings).provider, wanted or settings.model)


def transcription_model_at(settings: Settings, asked: Provider, named: str | None = None) -> str:
    """Return the model that transcribes at a provider: the named one, or the default; raises as above."""
    if named or not asked.is_embedded:
        return asked.known_name(named) if named else _default(load_models(settings.models), asked.name)
    # What the settings name is of another provider.
    return embedded_model(settings.model_copy(update={"model": None}), None).name


def chat_model(settings: Settings, wanted: str | None = None) -> str:
    """Return the model that writes: the wanted one, the settings', or the default; raises as above."""
    asked = asked_for(settings, Kind.CHAT).provider
    named = wanted or settings.chat_model
    return asked.known_name(named) if named else _default(load_chat_models(settings.chat_models), asked.name)


def speech_model(settings: Settings, wanted: str | None = None) -> str:
    """Return the model that speaks: the wanted one, the settings', or the default.

    Raises:
        SettingsError: none is named, and the provider offers none that lives, or the embedded engine has
            no voice on this machine.
    """
    asked = asked_for(settings, Kind.SPEECH).provider
    named = wanted or settings.speech_model
    if named or not asked.is_embedded:
        return (
            asked.known_name(named)
            if named
            else _default(load_speech_models(settings.speech_models), asked.name)
        )
    from stenoflow.tasks.engine.engine import find_synthesizers  # noqa: PLC0415 - loads slowly

    # The better one first; what there is depends on the programs of this machine.
    found = next(iter(find_synthesizers()), None)
    if found is None:
        raise SettingsError(
            "the embedded engine has no voice on this machine",
            'install flite or pip install "stenoflow[speech]", or set OPENAI_API_KEY or OPENAI_BASE_URL',
        )
    return found


def _default(table: ModelTable[M], provider: str) -> str:
    """Return the first model of a provider's order that is not past its end."""
    order, now = order_at(provider, table.kind), today()
    for name in order:
        last = table.get(name).last_day(provider)
        if last is None or last >= now:
            return name
    ended = ", ".join(f"{name} ended on {table.get(name).last_day(provider)}" for name in order)
    raise SettingsError(
        f"{provider} offers no model that {_DOES[table.kind]}{f': {ended}' if ended else ''}",
        f"{_SETTING[table.kind]} names a model, and STENOFLOW_{table.kind.upper()}_PROVIDER who has it (see"
        f" [providers.NAME]), or OPENAI_BASE_URL: {_servers(table)}",
    )


def _servers(table: ModelTable[M]) -> str:
    """Name what can do it elsewhere."""
    now = today()
    able = [
        name
        for name, each in table.listed.items()
        if EMBEDDED not in each.providers and not (each.shutdown and each.shutdown < now)
    ]
    ours = "stenoflow engine, speaches or LocalAI" if table.kind is Kind.SPEECH else "stenoflow engine"
    return f"{ours}, or a gateway with {' or '.join(able)}" if able else ours


def used_models(job: Job) -> Iterator[UsedModel]:
    """Yield what a job asks: its own model, and those that translate or read aloud what it makes."""
    settings: Mapping[str, Any] = job.settings
    kind, provider = _ASKED[JobKind(job.kind)], settings["provider"]
    yield UsedModel(kind, provider, settings["model"])
    for other in settings.get("others", ()):
        where, _, model = other.partition(":")
        yield UsedModel(Kind.TRANSCRIPTION, where, model)
    if translator := settings.get("translator"):
        yield UsedModel(Kind.CHAT, settings.get("translator_provider") or provider, translator)
    if speech := settings.get("speech"):
        yield UsedModel(Kind.SPEECH, speech["provider"], speech["model"])
