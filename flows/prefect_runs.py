"""Recordings inside runs of Prefect's: a flow run a recording, a task run a segment.

Prefect shows, and never decides: whatever becomes of its runs, each step is done exactly once. Where Prefect
does not begin one in time, or its server is lost, the step is done without it, which is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from prefect import flow, tags, task
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterName
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.logging.handlers import APILogHandler
from prefect.states import Completed, Failed

from stenoflow.flows.desk import why
from stenoflow.flows.run import RecordingStep, Run, Segments, SegmentStep
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob

_log = logging.getLogger(__name__)
# How long Prefect may take to begin a step, before that is done without it.
_BEGIN_WITHIN_S = 30.0
# How long Prefect may take to note the end of a recording; it tries for minutes otherwise.
_NOTE_WITHIN_S = 5.0

Step = Callable[[], Awaitable[Any]]
# What Prefect's runs of this process are to do, by job and segment; they get ids only.
_steps: dict[str, Step] = {}


@task(name="transcribe segment", task_run_name="{recording} · segment {index}", persist_result=False)
async def _segment_run(job_id: str, index: int, recording: str) -> None:  # noqa: ARG001 - names the run
    await _steps[f"{job_id} {index}"]()


@flow(name="transcribe recording", flow_run_name="{recording}", persist_result=False)
async def _recording_run(job_id: str, recording: str) -> State[None]:  # noqa: ARG001 - names the run
    return await _noted(_steps[job_id])


@task(name="transcribe recording", task_run_name="{recording} · {job_id}", persist_result=False)
async def _recording_task_run(job_id: str, recording: str) -> State[None]:  # noqa: ARG001 - names the run
    return await _noted(_steps[job_id])


@flow(name="transcribe recordings", flow_run_name="{recordings} recordings", persist_result=False)
async def _batch_run(key: str, recordings: int) -> None:  # noqa: ARG001 - names the run
    await _steps[key]()


async def as_flow_run(run: Run, prepared: PreparedJob, transcribe: RecordingStep) -> None:
    """Transcribe a recording as a flow run of its own, its segments as task runs."""
    job_id, name = prepared.job.id, prepared.recording.name
    with tags(*([prepared.job.tag] if prepared.job.tag else [])):
        await _once(
            job_id,
            lambda: _ended(run, prepared, transcribe(run, prepared, _segment_as_task_run(job_id))),
            partial(_recording_run, job_id, name, return_state=True),
        )


async def within_flow_run(run: Run, prepared: PreparedJob, transcribe: RecordingStep) -> None:
    """Transcribe a recording in the flow run that this is called in, its segments as task runs."""
    await transcribe(run, prepared, _segment_as_task_run(prepared.job.id))


async def as_task_run(run: Run, prepared: PreparedJob, transcribe: RecordingStep) -> None:
    """Transcribe a recording as one task run of the flow run that this is called in; its name tells the job.

    A tag does not: for each, Prefect asks its server for room, in a thread of its own that never ends.
    """
    job_id, name = prepared.job.id, prepared.recording.name
    with tags(*([prepared.job.tag] if prepared.job.tag else [])):
        await _once(
            job_id,
            lambda: _ended(run, prepared, transcribe(run, prepared)),
            partial(_recording_task_run, job_id, name, return_state=True),
        )


async def in_batch_run(key: str, recordings: int, work: Step) -> Any:
    """Do work on many recordings in one flow run, each of them a task run by `as_task_run`."""
    return await _once(key, work, partial(_batch_run, key, recordings, return_state=True))


async def states_of(recording: str) -> list[tuple[str, str]]:
    """Return the names and states of a recording's newest flow run and of its task runs, in their order."""
    async with get_client() as client:
        named = FlowRunFilter(name=FlowRunFilterName(any_=[recording]))
        runs = await client.read_flow_runs(
            flow_run_filter=named, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1
        )
        if not runs:
            return []
        tasks = await client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[runs[0].id])),
            sort=TaskRunSort.EXPECTED_START_TIME_ASC,
        )
    seen = [(runs[0].name, runs[0].state_name), *((each.name, each.state_name) for each in tasks)]
    return [(name, state or "Pending") for name, state in seen]


def _segment_as_task_run(job_id: str) -> SegmentStep:
    async def transcribe(segments: Segments, index: int) -> None:
        await _once(
            f"{job_id} {index}",
            lambda: segments.transcribe(index),
            partial(_segment_run, job_id, index, segments.name, return_state=True),
        )

    return transcribe


async def _once(key: str, work: Step, call: Callable[[], Coroutine[Any, Any, object]]) -> Any:
    """Do a piece of work once: inside a run of Prefect's, or without one where none begins in time.

    Args:
        key: under which Prefect's run finds the work.
        work: the work.
        call: makes Prefect's run.

    Returns:
        The work's result; raises what it raised, whatever Prefect made of that.
    """
    begun = asyncio.Event()
    at_work: list[asyncio.Future[Any]] = []

    def begin() -> Awaitable[Any]:
        if not at_work:
            at_work.append(asyncio.ensure_future(work()))
            begun.set()
        return asyncio.shield(at_work[0])

    _steps[key] = begin
    orchestrated = asyncio.ensure_future(call())
    try:
        await _first_of(orchestrated, begun)
        if not at_work:
            _log.warning("%s is done without Prefect: %s", key, _why(orchestrated))
            begin()
        return await at_work[0]
    except asyncio.CancelledError:
        for each in at_work:
            each.cancel()
        if at_work:
            await asyncio.wait(at_work)
        raise
    finally:
        await asyncio.wait([orchestrated], timeout=_NOTE_WITHIN_S)
        if orchestrated.cancel():
            await asyncio.wait([orchestrated], timeout=_NOTE_WITHIN_S)
        elif orchestrated.exception() is not None:
            _log.warning("Prefect lost sight of %s: %s", key, orchestrated.exception())
        del _steps[key]


async def _first_of(call: asyncio.Future[Any], begun: asyncio.Event) -> None:
    waiting = asyncio.ensure_future(begun.wait())
    try:
        await asyncio.wait([call, waiting], timeout=_BEGIN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _why(call: asyncio.Future[Any]) -> str:
    if not call.done():
        return f"it has not begun within {_BEGIN_WITHIN_S:.0f} s"
    error = None if call.cancelled() else call.exception()
    return str(error or "its run ended before it began")


async def _ended(run: Run, prepared: PreparedJob, work: Awaitable[JobState]) -> State[None]:
    """Wait for a recording's end; return Prefect's state for it, with the reason and a link to the desk."""
    ended = await work
    if ended is JobState.COMPLETE:
        return Completed()
    if ended is JobState.INTERRUPTED:
        return Failed(name="Interrupted", message="stopped by the user; resume goes on")
    job = await run_blocking(run.context.catalog.job, prepared.job.id)
    return Failed(name=ended.value.title(), message=why(run.context.settings, job.id, job.error_message))


async def _noted(step: Step) -> State[None]:
    """Do a step; where it failed, the log of Prefect's run says why, and not the command's own."""
    state: State[None] = await step()
    if state.is_failed():
        record = _log.makeRecord(_log.name, logging.ERROR, "", 0, state.message or "", (), None)
        APILogHandler().handle(record)
    return state
