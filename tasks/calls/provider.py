"""The provider of each kind of call: the server that the settings name, or the embedded engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.in_process import InProcessTransport
from stenoflow.tasks.api.model_table import ModelKind, ModelTable
from stenoflow.tasks.api.models import Model
from stenoflow.tasks.api.providers import EMBEDDED, Provider, load_providers
from stenoflow.tasks.errors import ModelUnavailableError, SettingsError
from stenoflow.tasks.settings import Settings
from stenoflow.tasks.settings.files import find_variable

if TYPE_CHECKING:
    from stenoflow.tasks.calls.transcribe import SecondOpinion
    from stenoflow.tasks.engine.engine import ChosenModel, Engine
    from stenoflow.tasks.engine.second_opinion import EmbeddedOpinion

# What --concurrency allows.
_MOST_CALLS = 256
_OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class Asked:
    """A server with the key that it is asked with."""

    provider: Provider
    key: str | None = None


def asked_for(settings: Settings, kind: ModelKind = ModelKind.TRANSCRIPTION) -> Asked:
    """Return who is asked for models of a kind.

    Raises:
        SettingsError: the settings name a provider that there is not.
    """
    named = settings.provider_of(kind)
    return _usual(settings) if named is None else find_provider(settings, named)


def find_provider(settings: Settings, name: str) -> Asked:
    """Return a provider by name: the usual one, one of ``[providers.NAME]``, or one that is known.

    Raises:
        SettingsError: there is none of that name, or nobody says where it is.
    """
    usual = _usual(settings)
    if name == usual.provider.name:
        return usual
    provider = load_providers(settings.providers).get(name)
    return Asked(provider, _key_of(provider))


def _key_of(provider: Provider) -> str | None:
    """Return the key in the variable that a provider names."""
    return find_variable(provider.key_env) if provider.key_env else None


def provider_name(settings: Settings, kind: ModelKind = ModelKind.TRANSCRIPTION) -> str:
    """Name who is asked, as prices and charges do."""
    return asked_for(settings, kind).provider.name


def is_embedded(settings: Settings, kind: ModelKind = ModelKind.TRANSCRIPTION) -> bool:
    """Tell whether the embedded engine is asked."""
    return asked_for(settings, kind).provider.is_embedded


def _usual(settings: Settings) -> Asked:
    """Return who is asked where no provider is named for a kind."""
    table = load_providers(settings.providers)
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    if settings.openai_base_url is not None:
        found = table.at(settings.openai_base_url)
        if settings.provider is not None:
            # A name that is known says how the server behaves, too.
            known = table.listed.get(settings.provider, found)
            found = replace(known, name=settings.provider, base_url=settings.openai_base_url)
        return Asked(found, key or _key_of(found))
    if settings.provider is not None and settings.provider != _OPENAI:
        provider = table.get(settings.provider)
        return Asked(provider, _key_of(provider))
    if key is None:
        return Asked(table.get(EMBEDDED))
    return Asked(table.get(_OPENAI), key)


def calls_at_once(settings: Settings, wanted: int | None) -> int:
    """Return how many calls may be in flight; the embedded engine has no more than this machine's cores."""
    if wanted is not None:
        return wanted
    if not is_embedded(settings):
        return settings.concurrency
    return min(settings.concurrency, os.cpu_count() or 1)


def api_settings(settings: Settings, asked: Asked) -> AudioApiSettings:
    """Return how a server is called, which is not the embedded engine."""
    own_s = asked.provider.deadline_s
    return AudioApiSettings(
        base_url=asked.provider.base_url,
        api_key=asked.key,
        provider=asked.provider.name,
        connect_s=settings.connect_timeout_s,
        read_s=own_s or settings.read_timeout_s,
        deadline_s=own_s or settings.call_deadline_s,
        server=asked.provider,
    )


@asynccontextmanager
async def open_api(
    settings: Settings, models: ModelTable[Model], asked: Asked | None = None
) -> AsyncIterator[AudioApi]:
    """Open the client; the embedded engine is reached in process, by the same client.

    Args:
        settings: for times, and for the embedded engine.
        models: what each can do.
        asked: who is asked; None: who transcribes.
    """
    asked = asked or asked_for(settings)
    if not asked.provider.is_embedded:
        async with AudioApi(api_settings(settings, asked), models) as api:
            yield api
        return
    from stenoflow.tasks.engine.admission import Admission  # noqa: PLC0415 - loads slowly, and only here
    from stenoflow.tasks.engine.app import create_app  # noqa: PLC0415 - the same

    engine = embedded_engine(settings)
    # Our own calls are as many as they should be.
    app = create_app(engine, admission=Admission(admitted=_MOST_CALLS))
    address = AudioApiSettings(base_url="http://embedded/v1", provider=EMBEDDED, deadline_s=7_200.0)
    try:
        async with AudioApi(address, models, InProcessTransport(app)) as api:
            yield api
    finally:
        await asyncio.to_thread(engine.close)


@asynccontextmanager
async def open_second_opinion(settings: Settings) -> AsyncIterator[Callable[[], SecondOpinion | None]]:
    """Give what opens a second opinion when it is first needed; None where the settings want none.

    What is given raises SettingsError where there are no weights of Whisper.
    """
    opened: list[EmbeddedOpinion] = []

    def second() -> SecondOpinion | None:
        if not opened and settings.check and not is_embedded(settings):
            from stenoflow.tasks.engine.second_opinion import EmbeddedOpinion  # noqa: PLC0415 - loads slowly

            opened.append(EmbeddedOpinion(settings.whisper_model))
        return next(iter(opened), None)

    try:
        yield second
    finally:
        for each in opened:
            await asyncio.to_thread(each.close)


def check_second_opinion(settings: Settings) -> None:
    """See that a second opinion can be had where the settings want one. Raises SettingsError."""
    if not settings.check or is_embedded(settings):
        return
    from stenoflow.tasks.engine.second_opinion import EmbeddedOpinion  # noqa: PLC0415 - loads slowly

    EmbeddedOpinion(settings.whisper_model).close()


def embedded_engine(settings: Settings) -> Engine:
    """Make the embedded engine as the settings have it; whoever asks closes it."""
    from stenoflow.tasks.engine.engine import EngineSettings, open_engine  # noqa: PLC0415 - loads slowly
    from stenoflow.tasks.engine.whisper import WhisperSettings  # noqa: PLC0415 - the same

    return open_engine(EngineSettings(whisper=WhisperSettings(settings.whisper_model)))


def embedded_model(settings: Settings, wanted: str | None) -> ChosenModel:
    """Return the recogniser of the embedded engine that is meant by a name; None: the best.

    Raises:
        SettingsError: it cannot be had; the message says what to do.
    """
    from stenoflow.tasks.engine.engine import choose_model  # noqa: PLC0415 - loads slowly
    from stenoflow.tasks.engine.whisper import WhisperSettings  # noqa: PLC0415 - the same

    try:
        return choose_model(wanted or settings.model, WhisperSettings(settings.whisper_model))
    except ModelUnavailableError as error:
        raise SettingsError(error.message, error.hint) from error
