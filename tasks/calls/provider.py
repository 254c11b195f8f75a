"""Who is asked: the API that the settings name, or the embedded engine where they name none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.in_process import InProcessTransport
from stenoflow.tasks.api.model_table import ModelTable
from stenoflow.tasks.api.models import Model
from stenoflow.tasks.api.settings import AudioApiSettings, provider_of
from stenoflow.tasks.settings import Settings

if TYPE_CHECKING:
    from stenoflow.tasks.calls.transcribe import SecondOpinion
    from stenoflow.tasks.engine.engine import ChosenModel, Engine
    from stenoflow.tasks.engine.second_opinion import EmbeddedOpinion

EMBEDDED = "embedded"
"""The embedded engine, as prices and charges name it."""
POCKETSPHINX = "pocketsphinx"
"""The embedded engine's last resort."""
# What --concurrency allows.
_MOST_CALLS = 256
_OPENAI = "https://api.openai.com/v1"


def provider_name(settings: Settings) -> str:
    """Name the provider as prices and charges do."""
    if settings.is_embedded:
        return EMBEDDED
    return settings.provider or provider_of(settings.openai_base_url or _OPENAI)


def calls_at_once(settings: Settings, wanted: int | None) -> int:
    """Return how many calls may be in flight; the embedded engine has no more than this machine's cores."""
    if wanted is not None:
        return wanted
    return min(settings.concurrency, os.cpu_count() or 1) if settings.is_embedded else settings.concurrency


@asynccontextmanager
async def open_api(settings: Settings, models: ModelTable[Model]) -> AsyncIterator[AudioApi]:
    """Open the client; the embedded engine is reached in process, by the same client."""
    if not settings.is_embedded:
        key = settings.openai_api_key
        async with AudioApi(
            AudioApiSettings(
                base_url=settings.openai_base_url or _OPENAI,
                api_key=key.get_secret_value() if key else None,
                provider=provider_name(settings),
                connect_s=settings.connect_timeout_s,
                read_s=settings.read_timeout_s,
                deadline_s=settings.call_deadline_s,
            ),
            models,
        ) as api:
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
        if not opened and settings.check and not settings.is_embedded:
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
    if not settings.check or settings.is_embedded:
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
        ModelUnavailableError: it cannot be had; the message says what to do.
    """
    from stenoflow.tasks.engine.engine import choose_model  # noqa: PLC0415 - loads slowly
    from stenoflow.tasks.engine.whisper import WhisperSettings  # noqa: PLC0415 - the same

    return choose_model(wanted or settings.model, WhisperSettings(settings.whisper_model))
