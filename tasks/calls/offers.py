"""Offers: a provider's own list of models, asked at most once a day, and never a reason to fail."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from typing import Any

from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.private import make_private, write_private
from stenoflow.tasks.api.model_table import ModelKind, UsedModel, order_at, today
from stenoflow.tasks.api.models import ListedModel, load_models
from stenoflow.tasks.calls.provider import Asked, asked_for, find_provider, open_api
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

_log = logging.getLogger(__name__)
_FILE = "offers.json"
# Nobody waits for longer to be told what can be assumed.
_TIMEOUT_S = 5.0

Offers = Mapping[str, ListedModel]
"""By name."""


def known_offers(settings: Settings, asked: Asked) -> Offers | None:
    """Return what a provider was last known to offer; None where it has not said so. Asks nobody."""
    entry = _read(settings).get(_key(asked))
    listed = entry.get("models") if isinstance(entry, dict) else None
    if not isinstance(listed, dict) or not listed:
        return None
    return {name: ListedModel(name, _day(last)) for name, last in listed.items()}


def told_last_day(settings: Settings, used: UsedModel) -> date | None:
    """Return the last day of a model by its provider's list, as it was last known; asks nobody."""
    with suppress(SettingsError):
        asked = asked_for(settings, used.kind)
        if asked.provider.name != used.provider:
            asked = find_provider(settings, used.provider)
        listed = (known_offers(settings, asked) or {}).get(asked.provider.sent_name(used.name))
        return listed.shutdown if listed else None
    return None


def keep_offers(settings: Settings, asked: Asked, listed: Iterable[ListedModel]) -> None:
    """Keep what a provider said today that it offers."""
    models = {each.name: each.shutdown and each.shutdown.isoformat() for each in listed}
    _keep(settings, asked, models)


def refresh_offers(settings: Settings, kind: ModelKind) -> None:
    """Ask a provider for its list, where a default depends on it and it was not asked today; blocks.

    Args:
        settings: of this process.
        kind: of the default, which nobody has named.
    """
    asked = asked_for(settings, kind)
    if asked.provider.is_embedded or len(order_at(asked.provider.name, kind)) < 2:
        return
    entry = _read(settings).get(_key(asked))
    known = entry if isinstance(entry, dict) else {}
    if known.get("day") == today().isoformat():
        return
    try:
        with ThreadPoolExecutor(1) as pool:
            listed = pool.submit(asyncio.run, _ask(settings, asked)).result()
    except (StenoflowError, OSError, TimeoutError) as error:
        _log.info("%s does not say what it offers: %s", asked.provider.name, error)
        _keep(settings, asked, known.get("models"))
    else:
        keep_offers(settings, asked, listed)


async def _ask(settings: Settings, asked: Asked) -> tuple[ListedModel, ...]:
    async with asyncio.timeout(_TIMEOUT_S), open_api(settings, load_models(settings.models), asked) as api:
        return await api.models()


def _keep(settings: Settings, asked: Asked, models: object) -> None:
    entry = {"day": today().isoformat(), "models": models}
    _write(settings, {**_read(settings), _key(asked): entry})


def _key(asked: Asked) -> str:
    return f"{asked.provider.name} {asked.provider.base_url}"


def _read(settings: Settings) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((settings.home / _FILE).read_text("utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _write(settings: Settings, entries: Mapping[str, Any]) -> None:
    with suppress(OSError):
        make_private(settings.home)
        write_private(settings.home / _FILE, json.dumps(entries, indent=1))


def _day(said: object) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(str(said))
    return None
