"""The main job as a Prefect flow: segments are transcribed as they are cut, then all is published."""

from __future__ import annotations

import asyncio

from prefect import flow, task
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from stenoflow.flows.run import Run, current_run
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.jobs.transcribe.publish import publish


@task(name="transcribe segment", task_run_name="{recording} · segment {index}", persist_result=False)
async def transcribe_segment(job_id: str, index: int, recording: str) -> None:  # noqa: ARG001 - names the run
    """Transcribe one segment of a job."""
    await current_run().transcribe(job_id, index)


@flow(name="transcribe recording", flow_run_name="{recording}", persist_result=False)
async def transcribe_recording(job_id: str, recording: str) -> State[None]:
    """Transcribe a recording whose job is begun; its outcome stands in the job.

    Args:
        job_id: the job.
        recording: its recording's name, for the dashboard.
    """
    return await work_on(job_id, recording)


async def work_on(job_id: str, recording: str) -> State[None]:
    """Transcribe a recording as part of the flow that this is called in; arguments as above."""
    run = current_run()
    state = await _transcribe(run, job_id, recording)
    run.feeds[job_id].ended()
    return state


async def _transcribe(run: Run, job_id: str, recording: str) -> State[None]:
    broken = await _transcribe_segments(run, job_id, recording)
    if run.interrupted:
        await run_blocking(run.context.catalog.set_state, job_id, JobState.INTERRUPTED)
        return Failed(name="Interrupted", message="stopped by the user; resume goes on")
    if broken is not None:
        await run_blocking(run.context.catalog.set_state, job_id, JobState.FAILED, broken)
        return Failed(message=str(broken))
    state = await run_blocking(publish, run.context, job_id)
    return Completed() if state is JobState.COMPLETE else Failed(name=state.value.title())


async def _transcribe_segments(run: Run, job_id: str, recording: str) -> StenoflowError | None:
    """Transcribe the segments as they are cut, and wait for all of them.

    A segment that fails for a reason of its own is parked, which its row says; the others go on.

    Returns:
        What broke the cutting off, if anything did.
    """
    segments: list[asyncio.Task[None]] = []
    broken: StenoflowError | None = None
    try:
        async for index in run.feeds[job_id]:
            segment = transcribe_segment(job_id, index, recording)
            segments.append(asyncio.create_task(segment))
    except StenoflowError as error:
        broken = error
    for outcome in await asyncio.gather(*segments, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, StenoflowError):
            raise outcome
    return broken
