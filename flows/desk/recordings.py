"""The list of recordings, newest first, filtered by what people look for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.storage.database.listing import ListFilter, Listing, Place
from stenoflow.storage.database.states import JobKind, JobState
from stenoflow.tasks.billing.amounts import MICRO
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.settings import InboxSettings
from stenoflow.tasks.sources.inbox import prefix_of

RETIRING_WITHIN = timedelta(days=60)
_LONGEST, _LARGEST = 200, 1_000_000
# Filters that are seldom wanted stand behind the others.
_MORE = frozenset({"language", "inbox", "speaker", "since", "until", "minutes", "cost"})
_LAST_DAY = datetime(9999, 12, 30, tzinfo=UTC)


def show(request: Request) -> Response:
    """Show a page of the list."""
    context, asked = context_of(request), request.query_params
    wanted = wanted_of(context, asked)
    listing = Listing(context.database)
    found = listing.page(wanted, _place(asked.get("after", "")))
    running = [line.job.id for line in found.jobs if line.job.state == JobState.RUNNING]
    progress = {each.job_id: each for each in context.reports.progress(running)} if running else {}
    filters = {name: value for name, value in asked.items() if value and name != "after"}
    older = found.older and urlencode(
        {**filters, "after": f"{found.older.created_at.isoformat()} {found.older.job_id}"}
    )
    return page(
        request,
        "recordings.html.jinja",
        lines=found.jobs,
        progress=progress,
        older=older,
        newest=urlencode(filters) if "after" in asked else None,
        asked={name: value[:_LONGEST] for name, value in asked.items()},
        is_filtered=bool(filters),
        has_more=not _MORE.isdisjoint(filters),
        states=[state.value for state in JobState],
        kinds=[kind.value for kind in JobKind],
        tags=listing.tags(),
        languages=listing.languages(),
        inboxes=[inbox.name for inbox in context.settings.inboxes],
        inbox_of=lambda source: _inbox_name(context.settings.inboxes, source),
    )


def wanted_of(context: AppContext, asked: Mapping[str, str]) -> ListFilter:
    """Return what the fields of the form ask for; what cannot be read in them asks for nothing."""

    def said(name: str) -> str:
        return asked.get(name, "").strip()[:_LONGEST]

    inbox = next((each for each in context.settings.inboxes if each.name == said("inbox")), None)
    until = day_of(said("until"))
    needs = bool(said("needs"))
    return ListFilter(
        kind=said("kind") if said("kind") in set(JobKind) else JobKind.TRANSCRIBE,
        name=said("name"),
        state=said("state") or None,
        tag=said("tag") or None,
        language=said("language") or None,
        speaker=said("speaker"),
        model=said("model") or None,
        source_prefix=None if inbox is None else prefix_of(inbox.address),
        since=day_of(said("since")),
        least_ms=_scaled(said("minutes"), 60_000),
        least_micro=_scaled(said("cost"), MICRO),
        until=until and min(until, _LAST_DAY) + timedelta(days=1),
        needs_person=needs,
        retiring=tuple(retiring(context)) if needs else (),
    )


def _scaled(text: str, scale: int) -> int | None:
    """Return a number that a form names, as so many of its parts; None: it names none that could be meant."""
    try:
        number = Decimal(text.replace(",", "."))
    except ArithmeticError:
        return None
    return int(number * scale) if number.is_finite() and 0 < number <= _LARGEST else None


def retiring(context: AppContext) -> dict[str, date]:
    """Return the models whose last day is near or past, with that day."""
    soon = datetime.now(UTC).date() + RETIRING_WITHIN
    models = context.models.listed.values()
    return {each.name: each.shutdown for each in models if each.shutdown and each.shutdown <= soon}


def inbox_of(inboxes: list[InboxSettings], source: str) -> InboxSettings | None:
    """Return the inbox that a recording lies in; None where it lies in none."""
    return next((each for each in inboxes if source.startswith(prefix_of(each.address))), None)


def _inbox_name(inboxes: list[InboxSettings], source: str) -> str:
    inbox = inbox_of(inboxes, source)
    return "" if inbox is None else inbox.name


def _place(text: str) -> Place | None:
    created_at, _, job_id = text.rpartition(" ")
    try:
        # A plus sign that was not encoded comes as a blank.
        at = datetime.fromisoformat(created_at.replace(" ", "+"))
    except ValueError:
        return None
    return Place(at if at.tzinfo else at.replace(tzinfo=UTC), job_id)


def day_of(text: str) -> datetime | None:
    """Return when a day begins that a form names; None: it names none."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) if text else None
    except ValueError:
        return None
