"""Correcting a transcript: its words and who says them, over whatever a model says; undone as easily."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stenoflow.flows.desk.acting import job_of
from stenoflow.flows.desk.glossary import learn
from stenoflow.flows.desk.recordings import inbox_of
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.flows.desk.visitor import Role, changing, check_role, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.database.corrections import ConflictError, NewCorrection
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.sanitize import one_line
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.publish import document_of, is_whole, publish_recording, rename
from stenoflow.tasks.transcript.corrections import new_terms, stretch_in, text_in
from stenoflow.tasks.transcript.types import Region, Transcript

_log = logging.getLogger(__name__)
_LONGEST_TEXT, _LONGEST_NAME, _DIGITS = 20_000, 200, 19


@dataclass(frozen=True, slots=True)
class FormPassage:
    """The passage that a form is about.

    Attributes:
        of: whose words they are; empty: nobody's that is named.
    """

    region: Region
    of: str

    def text(self, transcript: Transcript) -> str:
        """Return what is said in it."""
        return one_line(text_in(transcript, self.region, self.of or None))


@dataclass(frozen=True, slots=True)
class Edit:
    """What a form says of a passage.

    Attributes:
        before: what its user has seen there.
        seen: the last correction that they know of.
    """

    text: str
    speaker: str
    before: str
    seen: int


@dataclass(slots=True)
class Republisher:
    """Publishes anew what was corrected: once for all corrections that came while it was at work."""

    _wanted: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, context: AppContext, recording_id: str) -> None:
        """Publish a recording's transcripts anew; called in a thread, after the correction is stored."""
        self._wanted.add(recording_id)
        with self._lock:
            if recording_id not in self._wanted:
                return
            self._wanted.discard(recording_id)
            try:
                publish_recording(context, recording_id)
            except StenoflowError as error:
                _log.warning("recording %s is corrected, and not published anew: %s", recording_id, error)


_republisher = Republisher()


def form(request: Request) -> Response:
    """Show a passage to be corrected."""
    check_role(request, Role.EDITOR)
    context = context_of(request)
    job = _correctable(context, request)
    asked = request.query_params
    passage = _passage(asked.get("start", ""), asked.get("end", ""), asked.get("speaker", ""))
    name = one_line(asked.get("name", ""))[:_LONGEST_NAME]
    return _form(request, job, passage, suggested=name)


@changing(Role.EDITOR)
async def save(request: Request, form: FormData) -> Response:
    """Store a correction, and publish the artifacts anew; where another was first, show both."""
    context = context_of(request)
    job = await run_in_threadpool(_correctable, context, request)
    edit = _edit(form)
    passage = _passage(*(str(form.get(name, "")) for name in ("start", "end", "of")))
    try:
        if edit.speaker and passage.of and edit.speaker != passage.of and form.get("everywhere"):
            # Published below, with what else was changed.
            await run_in_threadpool(rename, context, job.id, {passage.of: edit.speaker}, republish=False)
            passage = FormPassage(passage.region, edit.speaker)
        await run_in_threadpool(_store, context, job, passage, edit, visitor_of(request).name)
        if form.get("glossary"):
            names = [edit.speaker] if edit.speaker != form.get("of") else []
            terms = [*new_terms(edit.before, edit.text), *names]
            await run_in_threadpool(learn, context, job, terms, visitor_of(request).name)
    except ConflictError as error:
        return await run_in_threadpool(_form, request, job, passage, edit, str(error))
    return RedirectResponse(
        f"/desk/jobs/{job.id}/#t={passage.region.start_ms / 1000:g}",
        303,
        background=BackgroundTask(_republisher.publish, context, job.recording_id),
    )


def listed(request: Request) -> Response:
    """Show all corrections of a recording."""
    context = context_of(request)
    job = job_of(context, request)
    return page(
        request,
        "corrections.html.jinja",
        job=job,
        name=context.catalog.recording(job.recording_id).name,
        corrections=context.corrections.of(job.recording_id, undone=True),
    )


@changing(Role.EDITOR)
async def undo(request: Request, form: FormData) -> Response:
    """Undo a correction."""
    context, which = context_of(request), str(form.get("undo", ""))
    job = await run_in_threadpool(_correctable, context, request)
    number = int(which) if which.isdecimal() and len(which) < _DIGITS else -1
    who = visitor_of(request).name
    if not await run_in_threadpool(context.corrections.undo, job.recording_id, number, who):
        raise HTTPException(404, "There is no such correction, or it was undone already.")
    await run_in_threadpool(Audit(context.database).add, who, "undo", job.id, {"correction": number})
    return RedirectResponse(
        f"/desk/jobs/{job.id}/corrections",
        303,
        background=BackgroundTask(_republisher.publish, context, job.recording_id),
    )


def _edit(form: FormData) -> Edit:
    seen = str(form.get("seen", ""))
    return Edit(
        text=one_line(str(form.get("text", "")))[:_LONGEST_TEXT],
        speaker=one_line(str(form.get("speaker", "")))[:_LONGEST_NAME],
        before=one_line(str(form.get("before", ""))),
        seen=int(seen) if seen.isdecimal() and len(seen) < _DIGITS else 0,
    )


def _store(context: AppContext, job: Job, passage: FormPassage, edit: Edit, who: str) -> None:
    """Store what was changed of a passage. Raises ConflictError where another has changed it, too."""
    transcript = document_of(context, job, context.catalog.segments(job.id)).transcript
    now = passage.text(transcript)
    if edit.before != now:
        raise ConflictError("somebody has changed this passage meanwhile", "look at it as it is now")
    try:
        region = stretch_in(transcript, passage.region.start_ms, passage.region.end_ms)
    except ValueError:
        raise HTTPException(400, "The address names no passage of this recording.") from None
    new = []
    if edit.text != now:
        told = NewCorrection(region.start_ms, region.end_ms, now, edit.text, passage.of or None)
        new.append(told)
    if edit.speaker and edit.speaker != passage.of:
        new.append(NewCorrection(region.start_ms, region.end_ms, passage.of, speaker=edit.speaker))
    if new:
        context.corrections.add(job.recording_id, new, who, edit.seen)
        Audit(context.database).add(who, "correct", job.id, {"at_ms": region.start_ms})


def _form(
    request: Request,
    job: Job,
    passage: FormPassage,
    edit: Edit | None = None,
    problem: str = "",
    *,
    suggested: str = "",
) -> Response:
    context = context_of(request)
    seen = context.corrections.last(job.recording_id)
    document = document_of(context, job, context.catalog.segments(job.id))
    now = passage.text(document.transcript)
    return page(
        request,
        "edit.html.jinja",
        409 if problem else 200,
        name=document.title,
        start=passage.region.start_ms,
        end=passage.region.end_ms,
        of=passage.of,
        seen=seen,
        before=now,
        text=now if edit is None else edit.text,
        speaker=(suggested or passage.of) if edit is None else edit.speaker,
        speakers=[*document.speakers, *_suggested_names(document)],
        everywhere=bool(suggested),
        problem=problem,
        now=now if problem else None,
        inbox=inbox_of(context.settings.inboxes, context.catalog.recording(job.recording_id).source),
    )


def _suggested_names(document: Document) -> list[str]:
    """Return names that a speaker may have, and that nobody is given yet."""
    speaking = document.speaking
    names = [*(each.name for each in speaking.suggestions), *speaking.attendees]
    return [each for each in dict.fromkeys(names) if each not in document.speakers]


def _correctable(context: AppContext, request: Request) -> Job:
    job = job_of(context, request)
    if not is_whole(context, job):
        raise HTTPException(409, "This has no transcript that could be corrected, or none any more.")
    return job


def _passage(start: str, end: str, of: str) -> FormPassage:
    if not (start.isdecimal() and end.isdecimal() and len(start) < 12 and len(end) < 12):
        raise HTTPException(400, "The address names no passage.")
    region = Region(int(start), int(end))
    if region.duration_ms <= 0:
        raise HTTPException(400, "The address names no passage.")
    return FormPassage(region, one_line(of)[:_LONGEST_NAME])
