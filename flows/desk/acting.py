"""Acting on a job: resume, minutes, cancel, forget; each is in the audit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stenoflow.flows.desk.estimates import (
    Cost,
    cost_of_minutes,
    cost_of_reading,
    cost_of_resuming,
    cost_of_translation,
    voice_settings,
)
from stenoflow.flows.desk.prefect_api import PrefectApi, StartError
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.flows.desk.visitor import Role, changing, check_role, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.database.charges import Scope
from stenoflow.storage.database.erasure import Erasure
from stenoflow.storage.database.listing import NEEDING
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.settings import voices_of
from stenoflow.tasks.jobs.transcribe.publish import is_whole
from stenoflow.tasks.operations.erase import find, sound_left

_LONGEST_VOICE = 100
_RESUMABLE = (*NEEDING, JobState.NEW)
_COMMAND = "from stenoflow.flows.cli import main; main()"


def job_of(context: AppContext, request: Request) -> Job:
    """Return the job that the address names. Raises HTTPException where there is none."""
    try:
        return context.catalog.job(request.path_params["job"])
    except StorageError:
        raise HTTPException(404, "There is no such recording, or it was forgotten.") from None


@changing(Role.OPERATOR)
async def act(request: Request, form: FormData) -> Response:
    """Do what a button says, and show the job again with what came of it."""
    context, do = context_of(request), str(form.get("do", ""))
    job = await run_in_threadpool(job_of, context, request)
    api: PrefectApi = request.app.state.prefect
    tags = [job.tag] if job.tag else []
    if do == "resume":
        await api.start("resume", {"job": job.id}, tags)
    elif do == "minutes":
        await api.start("digest", {"job": job.id}, tags)
    elif do == "translate":
        await api.start("translate", {"job": job.id}, tags)
    elif do == "speak":
        voice = str(form.get("voice", "")).strip()[:_LONGEST_VOICE]
        settings = await run_in_threadpool(voice_settings, context, voice)
        await api.start("digest", {"job": job.id, "voice": settings.voice}, tags)
    elif do == "cancel":
        recording = await run_in_threadpool(context.catalog.recording, job.recording_id)
        if not await api.cancel(job.id, recording.source):
            raise StartError(
                "no flow run of a deployment is at work on it",
                "a command that was started by hand ends with Ctrl-C, there; a flow run that takes many"
                " recordings is cancelled in Prefect, with all that it has in hand",
            )
    else:
        raise HTTPException(400, "There is nothing of that kind to do.")
    await run_in_threadpool(Audit(context.database).add, visitor_of(request).name, do, job.id)
    return RedirectResponse(f"/desk/jobs/{job.id}/details?done={do}", 303)


def ask(request: Request) -> Response:
    """Show what it would cost to translate a transcript, or to have its minutes read aloud."""
    check_role(request, Role.OPERATOR)
    context, do = context_of(request), request.query_params.get("do", "")
    job = job_of(context, request)
    if do not in {"translate", "speak"} or not is_whole(context, job):
        raise HTTPException(404, "There is nothing of that kind to do.")
    minutes: Cost | None = None
    cost: Cost | None = None
    voices: tuple[str, ...] = ()
    problem = ""
    try:
        if do == "translate":
            cost = cost_of_translation(context, job)
        else:
            minutes, cost = cost_of_reading(context, job)
            voices = voices_of(context.settings, context.speech_models, None)
    except StenoflowError as error:
        problem = str(error)
    return page(
        request,
        "ask.html.jinja",
        job=job,
        recording=context.catalog.recording(job.recording_id),
        do=do,
        problem=problem,
        minutes=minutes,
        cost=cost,
        voices=voices,
        budgets=budgets_of(context, job),
    )


def budgets_of(context: AppContext, job: Job) -> list[tuple[Scope, int, int]]:
    """Return the caps of this month that hold for a job, with how far each is used."""
    return [each for each in context.ledger.budgets_of_the_month() if each[0].tag in {"", job.tag}]


def costs_of_buttons(context: AppContext, job: Job, *, is_readable: bool) -> dict[str, Cost | str | None]:
    """Return what the buttons of a job would cost, or why they cannot do it; None: nobody knows yet."""
    asked: dict[str, Callable[[AppContext, Job], Cost | None]] = {}
    asked |= {"resume": cost_of_resuming} if job.state in _RESUMABLE else {}
    asked |= {"minutes": cost_of_minutes} if is_readable else {}
    costs: dict[str, Cost | str | None] = {}
    for name, cost_of in asked.items():
        try:
            costs[name] = cost_of(context, job)
        except StenoflowError as error:
            costs[name] = str(error)
    return costs


def ask_forget(request: Request) -> Response:
    """Show what forgetting a recording would erase."""
    check_role(request, Role.OPERATOR)
    context = context_of(request)
    job = job_of(context, request)
    (recording,) = find(context, job.recording_id)
    erasure = Erasure(context.database, context.leases)
    answers = {item["sha256"] for each in recording.jobs for item in erasure.answers(each, recording.jobs)}
    return page(
        request,
        "forget.html.jinja",
        job=job,
        recording=recording,
        artifacts=[item for each in recording.jobs for item in erasure.artifacts(each)],
        answers=len(answers),
        words=len(erasure.words(recording.recording_id)),
        sound=len(sound_left(context, recording.source, recording.version, recording.jobs)),
    )


@changing(Role.OPERATOR)
async def forget(request: Request, form: FormData) -> Response:
    """Forget a recording, as the command does, in a process of its own: it erases Prefect's runs, too."""
    if form.get("sure") != "yes":
        raise HTTPException(400, "Tick the box if the recording is to be forgotten.")
    context = context_of(request)
    job = await run_in_threadpool(job_of, context, request)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _COMMAND, "forget", job.recording_id, "--yes"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise StartError(f"it could not be forgotten: {said.decode(errors='replace').strip()[:500]}")
    await run_in_threadpool(context.database.empty_log)
    details = {"recording": job.recording_id}
    await run_in_threadpool(Audit(context.database).add, visitor_of(request).name, "forget", job.id, details)
    return RedirectResponse("/", 303)
