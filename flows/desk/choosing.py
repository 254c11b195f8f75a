"""Sending in what lies in an inbox already: chosen from a list, estimated, and started before its turn."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stenoflow.flows.desk.prefect_api import PrefectApi
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.flows.desk.sending import Offer, options_of, said_by, said_in, show_offer
from stenoflow.flows.desk.visitor import Role, changing, check_role, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.operations.inbox_scanner import id_of
from stenoflow.tasks.settings import InboxSettings
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.sources.inbox.entry import Entry, WriteState
from stenoflow.tasks.sources.inbox.options import LANGUAGES

_MOST = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """A recording in an inbox.

    Attributes:
        state: ``new``, ``done`` where it came to its end, ``at work``, or ``being written``.
    """

    entry: Entry
    state: str


def listed(request: Request) -> Response:
    """Show what lies in an inbox."""
    check_role(request, Role.EDITOR)
    context = context_of(request)
    inbox = _inbox(context, request)
    choices: list[Choice] = []
    problem = ""
    entries: tuple[Entry, ...] = ()
    try:
        entries = open_inbox(inbox.address, context.s3).look().entries
        choices = _choices(context, entries)
    except (StenoflowError, OSError) as error:
        problem = str(error)
    return page(
        request,
        "choose.html.jinja",
        inbox=inbox,
        problem=problem,
        choices=choices[:_MOST],
        more=max(0, len(choices) - _MOST),
        done=len(entries) - len(choices),
    )


async def show(request: Request) -> Response:
    """Show what a recording of an inbox would cost, by the options that are chosen."""
    check_role(request, Role.EDITOR)
    context = context_of(request)
    inbox = await run_in_threadpool(_inbox, context, request)
    entry = await run_in_threadpool(_entry, context, inbox, request.query_params.get("source", ""))
    said = said_by(inbox.said.model_dump(mode="json", exclude_unset=True))
    return await show_offer(request, _offer(inbox, entry), said)


@changing(Role.EDITOR)
async def act(request: Request, form: FormData) -> Response:
    """Estimate a recording of an inbox by other options, or start it."""
    context = context_of(request)
    inbox = await run_in_threadpool(_inbox, context, request)
    entry = await run_in_threadpool(_entry, context, inbox, request.query_params.get("source", ""))
    offer, said = _offer(inbox, entry), said_in(form)
    if form.get("do") != "start":
        return await show_offer(request, offer, said)
    try:
        asked = options_of(said).model_dump(mode="json", exclude_defaults=True)
        usual = inbox.said.model_dump(mode="json", exclude_unset=True)
        if LANGUAGES & asked.keys():
            # Either is said.
            usual = {name: value for name, value in usual.items() if name not in LANGUAGES}
        given = {**usual, **asked}
        api: PrefectApi = request.app.state.prefect
        parameters = {
            "inbox": inbox.address,
            "source": entry.source.uri,
            "options": given,
            "reject": inbox.reject,
            **({} if inbox.done_to is None else {"done_to": inbox.done_to}),
        }
        await api.start("ingest recording", parameters, [given["tag"]] if given.get("tag") else [])
    except StenoflowError as error:
        return await show_offer(request, offer, said, str(error))
    who, details = visitor_of(request).name, {"inbox": inbox.name, **asked}
    await run_in_threadpool(Audit(context.database).add, who, "send", details=details)
    return RedirectResponse(f"{offer.form}&started=1", 303)


def _inbox(context: AppContext, request: Request) -> InboxSettings:
    name = request.path_params["inbox"]
    inbox = next((each for each in context.settings.inboxes if each.name == name), None)
    if inbox is None:
        raise HTTPException(404, "There is no such inbox.")
    return inbox


def _entry(context: AppContext, inbox: InboxSettings, source: str) -> Entry:
    try:
        entry = open_inbox(inbox.address, context.s3).find(source)
    except (StenoflowError, OSError, ValueError):
        entry = None
    if entry is None:
        raise HTTPException(404, "That is not in the inbox, or not any more.")
    return entry


def _choices(context: AppContext, entries: tuple[Entry, ...]) -> list[Choice]:
    """Return what has not come to its end."""
    ended = context.arrivals.ended([id_of(entry) for entry in entries])
    found = []
    for entry in entries:
        if id_of(entry) in ended:
            continue
        in_hand, _ = context.arrivals.is_in_hand(id_of(entry))
        state = "at work" if in_hand else "being written" if entry.write_state is WriteState.OPEN else "new"
        found.append(Choice(entry, state))
    return found


def _offer(inbox: InboxSettings, entry: Entry) -> Offer:
    place = f"/desk/inboxes/{quote(inbox.name)}"
    form = f"{place}/send?source={quote(entry.source.uri, safe='')}"
    return Offer(entry.source.name, entry.source.size, entry.source.size, entry.source.uri, form, place)
