"""The health page: what needs a person first, inboxes, runs, provider errors, models, disk."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stenoflow.flows.desk.prefect_api import FailedLook, PrefectApi
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
        failed: the last look, where that failed; it is of the machine that looks.
        problem: why it cannot be told; empty: nothing is wrong.
    """

    settings: InboxSettings
    last_at: datetime | None
    waiting: list[Arrival]
    refused: list[Arrival]
    looked_at: datetime | None = None
    terms: tuple[str, ...] = ()
    failed: FailedLook | None = None
    problem: str = ""


async def show(request: Request) -> Response:
    """Show how things stand."""
    api: PrefectApi = request.app.state.prefect
    names = [each.name for each in (await run_in_threadpool(context_of, request)).settings.inboxes]
    looks = await asyncio.gather(*map(api.failed_look, names))
    return await run_in_threadpool(_show, request, dict(zip(names, looks, strict=True)))


def _show(request: Request, failed: Mapping[str, FailedLook | None]) -> Response:
    context = context_of(request)
    health, now = Health(context.database), datetime.now(UTC)
    inboxes = [_inbox(context, health, each, failed.get(each.name)) for each in context.settings.inboxes]
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
        inboxes=inboxes,
        broken=[each for each in inboxes if each.failed is not None],
        retiring=_retiring(context, now.date()),
        disk=disk,
        used=round(100 * disk.used / disk.total),
        is_low=disk.free < 1_000_000 * context.settings.least_free_mb,
        unindexed=context.search.lacking(),
    )


def _inbox(
    context: AppContext, health: Health, settings: InboxSettings, failed: FailedLook | None
) -> InboxRow:
    try:
        prefix = prefix_of(settings.address)
        came, inboxes = health.inbox(prefix), context.inboxes
        looked_at = inboxes.last_look(prefix)
        if failed is not None and looked_at is not None and looked_at > failed.at:
            # Looks that found nothing new are deleted, so that an older one is the last that Prefect has.
            failed = None
        return InboxRow(settings, *came, looked_at, inboxes.terms(prefix), failed)
    except (StenoflowError, OSError) as error:
        return InboxRow(settings, None, [], [], failed=failed, problem=str(error))


def _retiring(context: AppContext, today: date) -> list[tuple[str, date, int]]:
    """Return the models whose last day is near, with that day and how many days are left."""
    found = retiring(context).items()
    return sorted(((name, day, (day - today).days) for name, day in found), key=lambda each: each[1])
