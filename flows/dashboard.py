"""Progress in Prefect's dashboard: how far a job is, its segments, and what came of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from stenoflow.flows.desk import job_address, why
from stenoflow.flows.outcome import MinutesDetails, Outcome, TranscriptDetails
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import ChargeKind, JobKind
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds

_LOOK_EVERY_S = 5.0
_DOES: dict[str, str] = {JobKind.MINUTES: ": minutes"}
_FIRST_CHARACTERS = 600
# ASCII punctuation, all of which CommonMark lets be escaped.
_MARKUP = re.compile(r"[!-/:-@\[-`{-~]")
_log = logging.getLogger(__name__)


def names_of(recording: str) -> list[str]:
    """Return what flow runs about a recording are called."""
    return [f"{recording}{does}" for does in ("", *_DOES.values())]


def keys_of(job_id: str) -> list[str]:
    """Return the keys of a job's artifacts in Prefect."""
    return [f"{kind}-{job_id}" for kind in ("progress", "segments", "summary")]


class LogWatcher:
    """Writes what happens to the log, where Prefect finds it."""

    def opened(self, name: str, job_id: str, duration_ms: int, unit: str) -> None:  # noqa: ARG002
        """Log that a job is open."""
        _log.info("%s: job %s, %s", name, job_id, clock(duration_ms))

    def waiting(self, what: str | None) -> None:
        """Tell what is waited for."""
        if what is not None:
            _log.info("%s", what)

    def ended(self, outcome: Outcome) -> None:
        """Tell of an end."""
        _log.info("%s", outcome.to_json())

    def stopping(self, calls: int, grace_s: float) -> None:
        """Tell that it ends."""
        _log.info("stopping: up to %.0f s for %d calls in flight", grace_s, calls)


class DashboardProgress(LogWatcher):
    """Follows the jobs of a batch. Use it as a context; belongs to one event loop."""

    def __init__(self, context: AppContext, *, of_many: bool = False) -> None:
        """Begin with no job.

        Args:
            context: of the process.
            of_many: the flow run takes one recording after another: each is shown by its summary alone, as
                all that the dashboard shows costs its server, and the desk shows how far they are.
        """
        self._context = context
        self._of_many = of_many
        self._following: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, UUID] = {}
        self._ending: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._ending)

    def opened(self, name: str, job_id: str, duration_ms: int, unit: str) -> None:
        """Begin to follow a job, and have the flow run say in its name and tags what it is about."""
        super().opened(name, job_id, duration_ms, unit)
        self._ending.append(asyncio.create_task(_quietly(self._label(job_id))))
        if not self._of_many:
            self._following[job_id] = asyncio.create_task(self._follow(job_id, name, duration_ms))

    def ended(self, outcome: Outcome) -> None:
        """Show what came of it."""
        super().ended(outcome)
        if outcome.error is not None:
            reason = why(self._context.settings, outcome.job, outcome.error.get("message"))
            _log.error("%s: %s: %s", outcome.source or outcome.job, outcome.status, reason)
        following = self._following.pop(outcome.job or "", None)
        if following is not None:
            following.cancel()
        show = self._show_minutes if isinstance(outcome.details, MinutesDetails) else self._end
        self._ending.append(asyncio.create_task(_quietly(show(outcome))))

    async def _label(self, job_id: str) -> None:
        job = await run_blocking(self._context.catalog.job, job_id)
        if flow_run.id is None or not (job.tag or "job" in flow_run.parameters):
            return
        recording = await run_blocking(self._context.catalog.recording, job.recording_id)
        async with get_client() as client:
            run = await client.read_flow_run(UUID(flow_run.id))
            added = {job.tag} if job.tag else set()
            # Asked for by a job's id, it is called after the recording and what is done with it.
            is_id = run.parameters.get("job") == run.name
            name = f"{recording.name}{_DOES.get(job.kind, '')}" if is_id else run.name
            await client.update_flow_run(run.id, name=name, tags=sorted({*run.tags, *added}))

    async def _follow(self, job_id: str, name: str, duration_ms: int) -> None:
        shown = ""
        while True:
            # What takes no longer is shown by its end alone: each look at the dashboard costs its server.
            await asyncio.sleep(_LOOK_EVERY_S)
            (progress,) = await run_blocking(self._context.reports.progress, [job_id])
            done = min(100.0, 100.0 * samples_to_ms(progress.done_samples) / max(1, duration_ms))
            said = f"{name}: {progress.done} segments of {progress.segments}"
            said += "" if progress.planned else " cut so far"
            if said != shown:
                await self._show_progress(job_id, done, said)
                shown = said

    async def _show_progress(self, job_id: str, percent: float, said: str) -> None:
        if job_id in self._progress:
            await _quietly(aupdate_progress_artifact(self._progress[job_id], percent, said))
            return
        artifact = await _quietly(acreate_progress_artifact(percent, keys_of(job_id)[0], said))
        if artifact is not None:
            self._progress[job_id] = artifact

    async def _end(self, outcome: Outcome) -> None:
        if outcome.job is None or not isinstance(outcome.details, TranscriptDetails):
            return
        _, segments, summary = keys_of(outcome.job)
        if outcome.segments and not self._of_many:
            rows = await run_blocking(segment_rows, self._context, outcome.job)
            await acreate_table_artifact(rows, segments, f"segments of {outcome.source}")
            if outcome.job in self._progress:
                said = f"{outcome.source}: {outcome.status}, {len(rows)} segments"
                await self._show_progress(outcome.job, _percent(rows), said)
        text = await run_blocking(self._first_lines, outcome)
        link = job_address(self._context.settings, outcome.job)
        shown = _summary(outcome, outcome.details, text, link)
        await acreate_markdown_artifact(shown, summary, _described(outcome.source, link))

    async def _show_minutes(self, outcome: Outcome) -> None:
        """Show minutes under the key of a job's summary."""
        artifacts = await run_blocking(self._context.catalog.artifacts, outcome.job or "")
        key = next((each.key for each in artifacts if each.name == "digest.md"), None)
        if outcome.job is None or key is None or not outcome.artifacts:
            return
        text = (await run_blocking(self._context.store.get_bytes, key)).decode()
        said = _described(f"minutes, job {outcome.job}", job_address(self._context.settings, outcome.job))
        await acreate_markdown_artifact(text, keys_of(outcome.job)[2], said)

    def _first_lines(self, outcome: Outcome) -> str:
        """Return the beginning of the transcript, where there is one."""
        artifacts = {each.name: each.key for each in self._context.catalog.artifacts(outcome.job or "")}
        if "transcript.txt" not in artifacts or not outcome.artifacts:
            return ""
        try:
            return self._context.store.get_bytes(artifacts["transcript.txt"]).decode()[:_FIRST_CHARACTERS]
        except StenoflowError as error:
            _log.warning("no first lines of job %s: %s", outcome.job, error)
            return ""


def _percent(rows: list[dict[str, Any]]) -> float:
    return 100.0 * sum(row["state"] in {"done", "silent"} for row in rows) / len(rows)


def _described(what: str, link: str | None) -> str:
    """Describe an artifact, with the way to the desk: its list shows no more of it, as Markdown."""
    return what if link is None else f"{what} · [Read it at the desk]({link})"


def _summary(outcome: Outcome, details: TranscriptDetails, text: str, link: str | None = None) -> str:
    facts = (
        f"**{outcome.status}**",
        clock(round(details.duration * 1000)),
        f"{outcome.segments} segments",
        f"{outcome.calls} calls, {outcome.reused} reused",
        f"{outcome.cost_text} in this run",
    )
    lines = [
        " · ".join(facts),
        f"job `{outcome.job}` · recording `{outcome.recording}`",
        *(f"- missing {clock(round(1000 * a))}-{clock(round(1000 * b))}" for a, b in details.missing),
        *(f"- suspect {clock(round(1000 * a))}-{clock(round(1000 * b))}" for a, b in details.suspect),
        *([_quoted((outcome.error or {}).get("message", ""))] if outcome.error else []),
        *([f"[Read, hear and download it at the desk]({link})"] if link else []),
        *(f"- {name}: `{uri}`" for name, uri in outcome.artifacts.items()),
        *([_quoted(text)] if text else []),
    ]
    return "\n\n".join(lines)


def _quoted(text: str) -> str:
    """Return text as a quotation in which nothing is taken for markup."""
    escaped = _MARKUP.sub(r"\\\g<0>", text)
    return "\n".join(f"> {line}" for line in escaped.splitlines())


async def _quietly(act: Awaitable[Any]) -> Any:
    """Await what shows something; a dashboard that cannot be reached must not end a job."""
    try:
        return await act
    except Exception as error:  # noqa: BLE001 - whatever it is
        _log.warning("the dashboard could not be told: %s", error)
        return None


def segment_rows(context: AppContext, job_id: str) -> list[dict[str, Any]]:
    """Return a row a segment, for people to read: seconds sent, cost in the charges' currency, requests."""
    job = context.catalog.job(job_id)
    attempts = context.reports.attempts(job_id)
    segment_of = {attempt.id: attempt.segment_index for attempt in attempts}
    requests = Counter(segment_of.values())
    cost: Counter[int] = Counter()
    for charge in context.reports.charges(job_id):
        if charge.kind == ChargeKind.ACTUAL:
            cost[segment_of[charge.attempt_id]] += charge.amount_micro or 0
    return [
        {
            "segment": segment.index,
            "from": clock(job.origin_ms + samples_to_ms(segment.start_sample)),
            "to": clock(job.origin_ms + samples_to_ms(segment.end_sample)),
            "state": segment.state,
            "seconds sent": seconds(Excerpt(segment.spans).duration_ms) if segment.speech else 0.0,
            "cost": show(cost[segment.index]),
            "requests": requests[segment.index],
            "remark": segment.error_message or "",
        }
        for segment in context.catalog.segments(job_id)
    ]
