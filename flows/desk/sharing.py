"""Links for readers: whoever has one sees one transcript and hears its sound, until it ends or is revoked."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stenoflow.flows.desk.acting import job_of
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.flows.desk.sound import sound_of
from stenoflow.flows.desk.visitor import SHARED, Role, changing, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.database.tables import Job, Link
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.artifacts.page import may_have_picture, page_values
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.publish import document_of, is_whole

_MOST_DAYS = 366


@changing(Role.EDITOR)
async def share(request: Request, form: FormData) -> Response:
    """Make a link to a transcript, or revoke one."""
    context, who = context_of(request), visitor_of(request).name
    job = await run_in_threadpool(job_of, context, request)
    revoked = str(form.get("revoke", ""))
    if revoked:
        if not await run_in_threadpool(context.links.revoke, job.id, revoked, who):
            raise HTTPException(404, "There is no such link, or it was revoked already.")
        await run_in_threadpool(Audit(context.database).add, who, "unshare", job.id, {"link": revoked})
    else:
        if not await run_in_threadpool(is_whole, context, job):
            raise HTTPException(409, "This has no transcript that could be shown.")
        days = _days(str(form.get("days", "")))
        link = await run_in_threadpool(context.links.make, job.id, who, timedelta(days=days))
        details = {"link": link.id, "days": days}
        await run_in_threadpool(Audit(context.database).add, who, "share", job.id, details)
    return RedirectResponse(f"/desk/jobs/{job.id}/details#links", 303)


def address_of(request: Request, link: Link) -> str:
    """Return what is given to a reader."""
    base = context_of(request).settings.desk_url or str(request.base_url).rstrip("/")
    return f"{base}{SHARED}{link.id}{_proof(request, link.id)}/"


def show(request: Request) -> Response:
    """Show the transcript of a link, and nothing else."""
    context = context_of(request)
    job = _job(context, request)
    document = document_of(context, job, context.catalog.segments(job.id))
    named = replace(document.speaking, attendees=(), suggestions=())
    context.links.count_opening(request.path_params["link"][:_ID])
    return page(
        request,
        "shared.html.jinja",
        # Its files and its minutes are artifacts of their own, and names are for who can give them.
        **page_values(replace(document, linked_formats=(), minutes=None, speaking=named)),
        link="sound",
        sound=None,
        has_picture=may_have_picture(document),
    )


def sound(request: Request) -> Response:
    """Answer with the sound of a link's recording."""
    context = context_of(request)
    return sound_of(context, _job(context, request), request)


_ID = 32


def _job(context: AppContext, request: Request) -> Job:
    """Return the job of a link. Raises HTTPException where it is not ours, has ended, or was revoked."""
    given = request.path_params["link"]
    id_, proof = given[:_ID], given[_ID:]
    is_ours = hmac.compare_digest(proof.encode(), _proof(request, id_).encode())
    link = context.links.find(id_) if is_ours else None
    try:
        job = None if link is None else context.catalog.job(link.job_id)
    except StorageError:
        job = None
    if job is None or not is_whole(context, job):
        raise HTTPException(404, "This link has ended, or was revoked.")
    return job


def _proof(request: Request, id_: str) -> str:
    """Return what only this desk can put behind a link's id, so that who reads the database opens none."""
    proof: str = request.app.state.derived(f"link {id_}")
    return proof[:_ID]


def _days(text: str) -> int:
    if not (text.isdecimal() and len(text) < 4 and 1 <= int(text) <= _MOST_DAYS):
        raise HTTPException(400, f"A link holds for 1 to {_MOST_DAYS} days.")
    return int(text)
