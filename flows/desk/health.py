"""The health page: what needs a person first, inboxes, runs, provider errors, models, disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from stenoflow.flows.desk.recordings import retiring
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.storage.database.health import Health
from stenoflow.storage.database.listing import NEEDING, Listing
from stenoflow.storage.database.tables import Arrival
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.settings import InboxSettings
from stenoflow.tasks.sources.inbox import prefix_of

_LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """An inbox, with what came into it.

    Attributes:
        last_at: when the last recording came.
        looked_at: when it was looked into last; None: never, or by an older version.
        terms: that were put into its glossary at the desk.
        problem: why it cannot be told; empty: nothing is wrong.
    """

    settings: InboxSettings
    last_at: datetime | None
    waiting: list[Arrival]
    refused: list[Arrival]
    looked_at: datetime | None = None
    terms: tuple[str, ...] = ()
    problem: str = ""


def show(request: Request) -> Response:
    """Show how things stand."""
    context = context_of(request)
    health, now = Health(context.database), datetime.now(UTC)
    counts = Listing(context.database).counts(now - _LATELY)
    disk = shutil.disk_usage(context.settings.home)
    return page(
        request,
        "health.html.jinja",
        needing=[(state.value, counts.get(state, 0)) for state in NEEDING if counts.get(state)],
        since=f"{now - _LATELY:%Y-%m-%d}",
        counts=counts,
        queue=health.queue(),
        now=now,
        runs=health.runs(),
        errors=health.errors(),
        inboxes=[_inbox(context, health, each) for each in context.settings.inboxes],
        retiring=_retiring(context, now.date()),
        disk=disk,
        used=round(100 * disk.used / disk.total),
        is_low=disk.free < 1_000_000 * context.settings.least_free_mb,
        unindexed=context.search.lacking(),
    )


def _inbox(context: AppContext, health: Health, settings: InboxSettings) -> InboxRow:
    try:
        prefix = prefix_of(settings.address)
        inboxes = context.inboxes
        return InboxRow(settings, *health.inbox(prefix), inboxes.last_look(prefix), inboxes.terms(prefix))
    except (StenoflowError, OSError) as error:
        return InboxRow(settings, None, [], [], problem=str(error))


def _retiring(context: AppContext, today: date) -> list[tuple[str, date, int]]:
    """Return the models whose last day is near, with that day and how many days are left."""
    found = retiring(context).items()
    return sorted(((name, day, (day - today).days) for name, day in found), key=lambda each: each[1])
