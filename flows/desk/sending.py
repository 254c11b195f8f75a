"""Sending in: a file comes in parts, its cost is told before anything is spent, and then it is started."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from stenoflow.flows.desk.prefect_api import PrefectApi, StartError
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.flows.desk.visitor import CSRF_HEADER, Role, changing, check_csrf, check_role, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.database.listing import ListFilter, Listing
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.calls.chosen_models import chat_model
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import reason
from stenoflow.tasks.jobs.transcribe.plan import Estimate, estimate_source
from stenoflow.tasks.jobs.transcribe.prepare import inboxes_around
from stenoflow.tasks.jobs.transcribe.request import job_settings
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.glossary import parse_glossary
from stenoflow.tasks.sources.inbox.options import RecordingOptions, name_of
from stenoflow.tasks.sources.uploads import Upload, UploadError, Uploads

_PART_BYTES = 1 << 20
_LARGEST_FACTS = 10_000
_DIGITS = 18
_PARTS = {
    "languages": re.compile(r"[\s,;]+"),
    "formats": re.compile(r"[\s,;]+"),
    "names": re.compile(r"[\n,;]"),
    "glossary": re.compile(r"\n"),
}
"""Fields that hold several values, and what stands between these."""
_MORE = (*_PARTS, "min_speakers", "max_speakers", "segment_seconds")
_FIELDS = ("model", "language", "speakers", "tag", "budget", *_MORE)
_TICKS = ("translate", "digest")


@dataclass(frozen=True, slots=True)
class Offer:
    """A recording that may be started, and where its form is.

    Attributes:
        size: bytes, of which ``received`` are here.
        source: its address; None while it is not whole.
        form: to which its form is sent.
        back: the page from which it was chosen.
        is_upload: it may be discarded.
    """

    name: str
    size: int
    received: int
    source: str | None
    form: str
    back: str
    is_upload: bool = False


def _offer(upload: Upload) -> Offer:
    form = f"/desk/send/{upload.id}?"
    return Offer(upload.name, upload.size, upload.received, upload.source, form, "/desk/send", is_upload=True)


def uploads_of(context: AppContext) -> Uploads:
    """Return the uploads of the home."""
    return Uploads(context.settings.home, context.store)


def form(request: Request) -> Response:
    """Show the form to which files are dropped, and the inboxes from which one can be chosen."""
    check_role(request, Role.EDITOR)
    inboxes = [each.name for each in context_of(request).settings.inboxes]
    return page(request, "send.html.jinja", part_bytes=16 * _PART_BYTES, inboxes=inboxes)


@changing(Role.EDITOR)
async def send(request: Request, form: FormData) -> Response:
    """Take a file whole, from a browser without JavaScript."""
    file, context = form.get("file"), context_of(request)
    if not isinstance(file, UploadFile) or not file.filename:
        raise HTTPException(400, "Choose a file first.")
    uploads = uploads_of(context)
    upload = await run_in_threadpool(uploads.begin, file.filename, file.size or 0, {})
    with uploads.appending(upload, 0) as out:
        while part := await file.read(_PART_BYTES):
            await run_in_threadpool(out.write, part)
    await run_in_threadpool(uploads.finish, uploads.find(upload.id))
    return RedirectResponse(f"/desk/send/{upload.id}", 303)


async def begin(request: Request) -> Response:
    """Begin an upload in parts; tell its id."""
    _check(request)
    facts = await _small_json(request)
    try:
        name, size = str(facts["name"]), int(facts["size"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise HTTPException(400, "name and size are needed") from None
    try:
        upload = await run_in_threadpool(uploads_of(context_of(request)).begin, name, size, {})
    except UploadError as error:
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({"id": upload.id, "received": 0}, 201)


async def part(request: Request) -> Response:
    """Take a part of an upload (PATCH), or tell how much of it is here (GET)."""
    _check(request)
    uploads = uploads_of(context_of(request))
    try:
        upload = await run_in_threadpool(uploads.find, request.path_params["upload"])
        if request.method == "PATCH":
            await _append(request, uploads, upload)
            upload = await run_in_threadpool(uploads.find, upload.id)
            if upload.is_whole:
                upload = await run_in_threadpool(uploads.finish, upload)
    except UploadError as error:
        return JSONResponse({"error": str(error)}, 409)
    return JSONResponse({"id": upload.id, "received": upload.received, "size": upload.size})


async def _append(request: Request, uploads: Uploads, upload: Upload) -> None:
    offset = request.headers.get("upload-offset", "")
    room = upload.size - upload.received
    said = int(offset) if offset.isdecimal() and len(offset) <= _DIGITS else -1
    with uploads.appending(upload, said) as out:
        async for chunk in request.stream():
            room -= len(chunk)
            if room < 0:
                raise UploadError(f"{upload.name} is longer than was said")
            await run_in_threadpool(out.write, chunk)


async def show(request: Request) -> Response:
    """Show what an upload would cost, by the options that are chosen."""
    check_role(request, Role.EDITOR)
    upload = await run_in_threadpool(_find, context_of(request), request)
    return await show_offer(request, _offer(upload), {})


@changing(Role.EDITOR)
async def act(request: Request, form: FormData) -> Response:
    """Estimate an upload by other options, start it, or discard it."""
    context, do = context_of(request), form.get("do")
    upload = await run_in_threadpool(_find, context, request)
    said = said_in(form)
    if do == "discard":
        await run_in_threadpool(uploads_of(context).discard, upload)
        return RedirectResponse("/desk/send", 303)
    if do != "start":
        return await show_offer(request, _offer(upload), said)
    try:
        options = options_of(said)
        tags = [options.tag] if options.tag else []
        given = options.model_dump(mode="json", exclude_defaults=True)
        api: PrefectApi = request.app.state.prefect
        await api.start("transcribe", {"source": upload.source, "options": given}, tags)
    except StenoflowError as error:
        return await show_offer(request, _offer(upload), said, str(error))
    who = visitor_of(request).name
    await run_in_threadpool(Audit(context.database).add, who, "send", details={"upload": upload.id, **given})
    return RedirectResponse(f"/desk/send/{upload.id}?started=1", 303)


def said_in(form: FormData) -> dict[str, str]:
    """Return what the fields of an offer's form say."""
    return {name: str(form.get(name, "")).strip() for name in (*_FIELDS, *_TICKS)}


def said_by(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options, as JSON holds them, as an offer's form says them."""
    names = [f"{label}={name}" for label, name in options.get("names", {}).items()]
    said: dict[str, str] = {}
    for name, value in {**options, "names": names}.items():
        between = ", " if name in {"languages", "formats"} else "\n"
        text = between.join(value) if isinstance(value, list) else "" if value is None else str(value)
        said |= {name: text} if value else {}
    return said


async def show_offer(request: Request, offer: Offer, said: dict[str, str], problem: str = "") -> Response:
    """Show what a recording would cost, with the form by which it is started."""
    context = context_of(request)
    estimate = None
    try:
        if offer.source is not None:
            estimate = await run_in_threadpool(_estimate, context, offer.source, options_of(said))
    except StenoflowError as error:
        problem = problem or str(error)
    wanted = ListFilter(source_prefix=offer.source)
    jobs = (await run_in_threadpool(Listing(context.database).page, wanted)).jobs if offer.source else ()
    return page(
        request,
        "estimate.html.jinja",
        upload=offer,
        said=said,
        has_more=any(map(said.get, _MORE)),
        estimate=estimate,
        problem=problem,
        jobs=jobs,
        is_started="started" in request.query_params,
        models=sorted(context.models.listed),
        budgets=await run_in_threadpool(context.ledger.budgets_of_the_month),
    )


def options_of(said: dict[str, str]) -> RecordingOptions:
    """Return what a form says, as options of a recording; what is empty is not said.

    Raises:
        StenoflowError: a field cannot be used.
    """
    given: dict[str, Any] = {name: said[name] for name in _FIELDS if said.get(name)}
    given |= {name: True for name in _TICKS if said.get(name)}
    for name, between in _PARTS.items():
        if name in given:
            given[name] = list(filter(None, map(str.strip, between.split(given[name]))))
    try:
        if "names" in given:
            given["names"] = dict(map(name_of, given["names"]))
        if "glossary" in given:
            given["glossary"] = parse_glossary(said["glossary"].encode(), "of the form")
        if "budget" in given:
            given["budget"] = Decimal(given["budget"])
        return RecordingOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise StartError(f"{first['loc'][0]}: {reason(first)}") from error
    except ArithmeticError as error:
        raise StartError("budget: that is no amount") from error


def _estimate(context: AppContext, source: str, options: RecordingOptions) -> Estimate:
    (found,) = resolve(source, context.s3, within=inboxes_around(context, source))
    has_minutes = context.settings.digest if options.digest is None else options.digest
    writer = chat_model(context.settings) if has_minutes else None
    return estimate_source(context, found, job_settings(context.settings, context.models, options), writer)


def _find(context: AppContext, request: Request) -> Upload:
    try:
        return uploads_of(context).find(request.path_params["upload"])
    except UploadError:
        raise HTTPException(404, "There is no such upload; it may have been discarded.") from None


def _check(request: Request) -> None:
    check_role(request, Role.EDITOR)
    check_csrf(request, request.headers.get(CSRF_HEADER, ""))


async def _small_json(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FACTS:
            raise HTTPException(413, "too much")
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise HTTPException(400, "that is no JSON object")
    return facts
