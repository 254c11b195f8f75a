"""Reading the list of models (GET /v1/models)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from tasks.audio_api.errors import BadAnswerError
from tasks.audio_api.exchange import Reply, Target


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model as the server lists it.

    Attributes:
        shutdown: the last day, where the server says one.
    """

    name: str
    shutdown: date | None = None


def parse_catalogue(reply: Reply, target: Target) -> tuple[ListedModel, ...]:
    """Read the list; entries that make no sense are left out.

    Raises:
        BadAnswerError: there is no list.
    """
    try:
        parsed = json.loads(reply.body)
    except (ValueError, RecursionError):
        parsed = None
    entries = parsed.get("data") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise BadAnswerError(
            f"{target} sent no list of models", f"is {target.address} the API's address?", reply.status
        )
    return tuple(
        ListedModel(entry["id"], _date(entry.get("shutdown_date")))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
