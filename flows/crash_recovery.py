"""Taking up what dead processes left: Prefect's own server goes on showing their flow runs as running.

A process says in our database that it is alive as soon as it works. One that dies before that, while it
starts, leaves no trace but a flow run that gets no further.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from stenoflow.flows.dispatch import RESUME, ask_for
from stenoflow.storage.database.leases import LEASE
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.tasks.context import AppContext

_log = logging.getLogger(__name__)
TAG = "taken up"
"""Of flow runs that were asked for here: a job that is set aside stays so."""

_MOST_TIMES = 5
# The deployable flows that say they are alive.
_FLOWS = ["resume", "take in", "transcribe"]
# How long a flow run may be in a state before it must have said so: imports; images to be pulled.
_STARTING = {StateType.RUNNING: timedelta(minutes=2), StateType.PENDING: timedelta(minutes=10)}


async def recover_crashed_runs(context: AppContext) -> int:
    """Have done anew what processes died over, and mark their flow runs as crashed.

    A flow run is asked for anew as it was, with all that it was to do; a job that no flow run had is resumed.

    Returns:
        How many flow runs were asked for.
    """
    left: dict[str, list[str]] = defaultdict(list)
    for job_id, run_id in await run_blocking(context.catalog.abandoned):
        left[run_id or ""].append(job_id)
    asked = 0
    async with get_client() as client:
        for run in await _unfinished(client):
            is_dead = left.pop(str(run.id), None) is not None
            if await _is_lost(context, run, is_dead=is_dead):
                await client.set_flow_run_state(run.id, Crashed(message="its process died"), force=True)
                asked += await _ask_again(client, run)
        for run_id, job_ids in left.items():
            crashed = await _crashed(client, run_id)
            if crashed is not None:
                asked += await _ask_again(client, crashed)
            else:
                asked += sum([await _resume(job_id, run_id) for job_id in job_ids])
    return asked


async def _unfinished(client: PrefectClient) -> list[FlowRun]:
    """Return the flow runs that are at work, or would be."""
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=_FLOWS)),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_STARTING))),
            deployment_id=FlowRunFilterDeploymentId(is_null_=False),
        ),
    )


async def _is_lost(context: AppContext, run: FlowRun, *, is_dead: bool) -> bool:
    """Tell whether a flow run's process is gone; ``is_dead``: it has been, but the run may be tried again."""
    if run.state is None:
        return False
    since = datetime.now(UTC) - run.state.timestamp
    if is_dead:
        return since > LEASE
    grace = _STARTING[run.state.type]
    return since > grace and not await run_blocking(context.leases.heard_within, str(run.id), grace)


async def _crashed(client: PrefectClient, run_id: str) -> FlowRun | None:
    """Return a flow run of which its worker has said that its process died; None where there is none."""
    try:
        run = await client.read_flow_run(UUID(run_id))
    except (ValueError, ObjectNotFound):
        return None  # a command's
    return run if run.deployment_id is not None and run.state is not None and run.state.is_crashed() else None


async def _ask_again(client: PrefectClient, run: FlowRun) -> bool:
    """Ask for a flow run like one that died, unless that has been done often enough."""
    times = sum(tag.startswith(TAG) for tag in run.tags)
    if times >= _MOST_TIMES:
        _log.error("%s died %d times in a row and is not asked for again", run.name, times + 1)
        return False
    try:
        deployment = await client.read_deployment(run.deployment_id or "")
    except (ValueError, ObjectNotFound):
        return False  # it was deleted meanwhile
    name = f"{(await client.read_flow(run.flow_id)).name}/{deployment.name}"
    tags = [*run.tags, TAG if times == 0 else f"{TAG} {times + 1}"]
    return await ask_for(name, run.parameters, f"again {run.id}", run.work_queue_name, tags) is not None


async def _resume(job_id: str, run_id: str) -> bool:
    return await ask_for(RESUME, {"job": job_id}, f"resume {job_id} {run_id}", tags=[TAG]) is not None
