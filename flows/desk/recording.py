"""One recording: its transcript to read and hear, its files, and what was done for it and at what cost."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stenoflow.flows.desk.acting import budgets_of, costs_of_buttons, job_of
from stenoflow.flows.desk.charts import CoverageBar, coverage_bar
from stenoflow.flows.desk.rendering import context_of, page
from stenoflow.flows.desk.sharing import address_of
from stenoflow.flows.desk.visitor import Role, visitor_of
from stenoflow.storage.database.audit import Audit
from stenoflow.storage.database.costs import COUNTED, Spending
from stenoflow.storage.database.states import Activity, ChargeKind, JobKind
from stenoflow.storage.database.tables import Attempt, Charge, Job, Link, Segment
from stenoflow.storage.errors import ObjectNotFoundError
from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.formats import FORMATS, artifact_name
from stenoflow.tasks.artifacts.page import may_have_picture, page_values
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.publish import document_of, is_whole
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms
from stenoflow.tasks.transcript.types import Region


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment as it is listed, with what its requests came to."""

    index: int
    start: str
    end: str
    state: str
    sent_s: float
    requests: int
    cost_micro: int
    remark: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """What one run of the program did for a job: its requests, and when the first and the last began."""

    run_id: str
    first_at: datetime
    last_at: datetime
    requests: int
    failed: int


def show(request: Request) -> Response:
    """Show a transcript with its recording's sound; of what has none, its details."""
    context = context_of(request)
    job = job_of(context, request)
    if not is_whole(context, job):
        return RedirectResponse(f"/desk/jobs/{job.id}/details", 303)
    document = document_of(context, job, context.catalog.segments(job.id))
    names = tuple(name for name in FORMATS if name != "html")
    return page(
        request,
        "recording.html.jinja",
        **page_values(replace(document, linked_formats=names)),
        job=job,
        link="sound",
        sound=None,
        has_picture=may_have_picture(document),
        bar=_bar(document),
        spent=context.reports.spending([job.id]),
        corrections=len(context.corrections.of(job.recording_id)),
    )


async def details(request: Request) -> Response:
    """Show a job's segments, requests, charges, runs and files."""
    key, api = f"summary-{request.path_params['job']}", request.app.state.prefect
    # What a command did by itself, Prefect knows nothing of.
    has_runs = visitor_of(request).may(Role.OPERATOR) and await api.knows(key)
    return await run_in_threadpool(_details, request, has_runs=has_runs)


def _details(request: Request, *, has_runs: bool) -> Response:
    context = context_of(request)
    job = job_of(context, request)
    segments = context.catalog.segments(job.id)
    attempts, charges = context.reports.attempts(job.id), context.reports.charges(job.id)
    paid = _paid(charges)
    is_readable, may_act = is_whole(context, job), visitor_of(request).may(Role.OPERATOR)
    document = document_of(context, job, segments) if is_readable else None
    return page(
        request,
        "details.html.jinja",
        job=job,
        recording=context.catalog.recording(job.recording_id),
        is_readable=is_readable,
        has_runs=has_runs,
        costs=costs_of_buttons(context, job, is_readable=is_readable) if may_act else {},
        budgets=budgets_of(context, job) if may_act else [],
        done=request.query_params.get("done", ""),
        audit=Audit(context.database).of(job.id),
        bar=None if document is None else _bar(document),
        has_minutes=document is not None and document.minutes is not None,
        segments=list(_segment_rows(context, job, segments, attempts, paid)),
        runs=_runs(attempts),
        attempts=attempts,
        paid=paid,
        charges=charges,
        spent=context.reports.spending([job.id]),
        artifacts=context.catalog.artifacts(job.id),
        others=[each for each in context.catalog.transcriptions(job.recording_id) if each.id != job.id],
        links=_links(request, job) if is_readable else [],
        minutes=context.catalog.digests(job.recording_id) if job.kind == JobKind.TRANSCRIBE else (),
    )


def file(request: Request) -> Response:
    """Answer with a file of a job: one that is published, or a format that is made now."""
    context, name = context_of(request), request.path_params["name"]
    job = job_of(context, request)
    artifact = next((each for each in context.catalog.artifacts(job.id) if each.name == name), None)
    try:
        content = None if artifact is None else context.store.get_bytes(artifact.key)
    except ObjectNotFoundError:
        content = None
    if content is None:
        content = _made(context, job, name)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    stem = PurePosixPath(context.catalog.recording(job.recording_id).name).stem or job.id
    shown = name.replace("transcript", stem, 1) if name.startswith("transcript.") else f"{stem}.{name}"
    # Always saved, never shown: what is in it comes from models and from people.
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(shown, safe='')}"}
    return Response(content, media_type=kind, headers=headers)


def _made(context: AppContext, job: Job, name: str) -> bytes:
    format_ = next((known for key, known in FORMATS.items() if artifact_name(key) == name), None)
    if format_ is None or not is_whole(context, job):
        raise HTTPException(404, "There is no such file.")
    return format_.render(document_of(context, job, context.catalog.segments(job.id)))


def _bar(document: Document) -> CoverageBar:
    suspect = [each.region for each in document.suspect_answers]
    utterances = document.transcript.utterances
    for each, reasons in zip(utterances, document.suspect_reasons, strict=True):
        if reasons:
            suspect.append(Region(each.start_ms, each.end_ms))
    return coverage_bar(document.transcript, suspect)


def _paid(charges: Iterable[Charge]) -> dict[str, Spending]:
    """Return what each request came to, by its id."""
    found: dict[str, list[Charge]] = {}
    for charge in charges:
        if charge.kind in COUNTED:
            found.setdefault(charge.attempt_id, []).append(charge)
    return {attempt_id: _spent(entries) for attempt_id, entries in found.items()}


def _spent(charges: Sequence[Charge]) -> Spending:
    amounts = {True: 0, False: 0}
    for charge in charges:
        amounts[charge.kind == ChargeKind.ACTUAL] += charge.amount_micro or 0
    unpriced = (COUNTED[ChargeKind(each.kind)] for each in charges if each.amount_micro is None)
    return Spending(amounts[True], amounts[False], sum(unpriced))


def _segment_rows(
    context: AppContext,
    job: Job,
    segments: Sequence[Segment],
    attempts: Sequence[Attempt],
    paid: Mapping[str, Spending],
) -> Iterator[SegmentRow]:
    requests = Counter(attempt.segment_index for attempt in attempts)
    cost: Counter[int] = Counter()
    for attempt in attempts:
        if attempt.id in paid:
            cost[attempt.segment_index] += paid[attempt.id].actual_micro
    suspects = context.ledger.suspects(segment.cache_key for segment in segments)
    for each in segments:
        is_text = each.activity == Activity.SPEECH
        edges = each.start_sample, each.end_sample
        suspect = suspects.get(each.cache_key)
        start, end = (
            f"character {edge:,}" if is_text else clock(job.origin_ms + samples_to_ms(edge)) for edge in edges
        )
        yield SegmentRow(
            each.index,
            start,
            end,
            each.state,
            Excerpt(each.spans).duration_ms / 1000 if each.speech and not is_text else 0.0,
            requests[each.index],
            cost[each.index],
            each.error_message or (f"suspect: {suspect}" if suspect else ""),
        )


def _links(request: Request, job: Job) -> list[tuple[Link, str]]:
    """Return the links to a transcript, each with its address; for whoever may make some, while it holds."""
    links, may = context_of(request).links, visitor_of(request).may(Role.EDITOR)
    return [
        (each, address_of(request, each) if may and links.holds(each) else "") for each in links.of(job.id)
    ]


def _runs(attempts: Sequence[Attempt]) -> list[RunRow]:
    by_run: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_run.setdefault(attempt.run_id, []).append(attempt)
    return [
        RunRow(
            run_id,
            some[0].started_at,
            some[-1].started_at,
            len(some),
            sum(each.error_kind is not None for each in some),
        )
        for run_id, some in by_run.items()
    ]
