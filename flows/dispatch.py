"""Flow runs on whichever worker is free: one a recording, and again those whose process died."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas import FlowRun, State
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Completed, Crashed

from stenoflow.flows.ingest import Moves, move_what_ended
from stenoflow.storage.database.leases import LEASE
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, ScannedRecording

if TYPE_CHECKING:
    from stenoflow.tasks.sources.inbox.queue import Announcement, EventQueue

DEPLOYMENT = "stenoflow"
"""What each flow's deployment is called, in `prefect.yaml` and by `stenoflow serve`."""

INGEST_RECORDING = f"ingest recording/{DEPLOYMENT}"
RESUME = f"resume/{DEPLOYMENT}"
# A run that ends before it has taken its recording is made anew so often.
_TRIES = 3
_AGAIN_S = 10
_log = logging.getLogger(__name__)


async def dispatch(scanner: InboxScanner, interval_s: float, moves: Moves) -> int:
    """Have each recording that is new and complete transcribed by a flow run of its own.

    Looks as often as it takes to know what is complete. What a run has in hand already is left to it.

    Returns:
        How many flow runs were asked for.
    """
    asked = looks = 0
    while True:
        look = await run_blocking(scanner.look)
        await move_what_ended(scanner, moves)
        for scanned in look:
            asked += await _hand_over(scanner, scanned, moves)
        looks += 1
        if looks >= scanner.looks or not scanner.growing:
            return asked
        await asyncio.sleep(interval_s)


async def empty_queue(scanner: InboxScanner, url: str, moves: Moves) -> int:
    """Have all that a queue announces by now transcribed, by a flow run each.

    Returns:
        How many flow runs were asked for.

    Raises:
        SettingsError: the queue cannot be used.
        SourceOutOfReachError: it does not answer.
    """
    from stenoflow.tasks.sources.inbox.queue import open_queue  # noqa: PLC0415 - boto3 takes half a second to import

    asked, queue = 0, await run_blocking(open_queue, url, scanner.inbox)
    while announcements := await run_blocking(queue.receive, 0):
        for announcement in announcements:
            asked += await _hand_over_announced(scanner, announcement, moves)
    _say_notices(queue, moves)
    return asked


async def follow_queue(scanner: InboxScanner, queue: EventQueue, moves: Moves) -> None:
    """Have what a queue announces transcribed at once, for ever; it blocks, and belongs into its own thread.

    What is lost meanwhile, the looks into the inbox find.
    """
    while True:
        try:
            for announcement in queue.receive():
                await _hand_over_announced(scanner, announcement, moves)
            _say_notices(queue, moves)
        except (StenoflowError, PrefectHTTPStatusError, httpx.HTTPError) as error:
            moves.say(f"{error}; hearing the queue again in {_AGAIN_S} s")
            time.sleep(_AGAIN_S)  # noqa: ASYNC251 - as receiving, it holds up this thread alone


async def _hand_over_announced(scanner: InboxScanner, announcement: Announcement, moves: Moves) -> int:
    scanned = await run_blocking(scanner.announced, announcement.entries)
    asked = sum([await _hand_over(scanner, each, moves) for each in scanned])
    await run_blocking(announcement.acknowledge)
    return asked


def _say_notices(queue: EventQueue, moves: Moves) -> None:
    while queue.notices:
        moves.say(queue.notices.pop(0))


async def _hand_over(scanner: InboxScanner, scanned: ScannedRecording, moves: Moves) -> bool:
    in_hand, last_try = await run_blocking(scanner.context.arrivals.is_in_hand, scanned.id)
    if in_hand:
        return False
    parameters = {
        "inbox": scanner.inbox.address,
        "source": scanned.entry.source.uri,
        "options": scanned.options.model_dump(mode="json", exclude_defaults=True),
        "reject": moves.rejects,
        **({} if moves.done_to is None else {"done_to": moves.done_to}),
    }
    # Asked for again and again, it is one run; another if that dies with the recording, or puts it off.
    key = f"{scanned.id} {last_try}"
    tags = [scanned.options.tag] if scanned.options.tag else []
    return await ask_for(INGEST_RECORDING, parameters, key, scanned.options.priority, tags) is not None


async def ask_for(
    deployment: str,
    parameters: dict[str, Any],
    key: str,
    queue: str | None = None,
    tags: Sequence[str] | None = None,
) -> FlowRun | None:
    """Ask for a flow run under a key; for another one where that has ended, and what it was for has not."""
    async with get_client() as client:
        pooled = (await client.read_deployment_by_name(deployment)).work_pool_name is not None
    for _ in range(_TRIES):
        run = await arun_deployment(
            deployment,
            parameters=parameters,
            timeout=0,
            idempotency_key=key,
            as_subflow=False,
            work_queue_name=queue if pooled else None,
            tags=tags,
        )
        if run.state is None or not run.state.is_final():
            return run
        key = f"{key} {run.id}"
    _log.error("%s has ended %d times without a result: %s", deployment, _TRIES, parameters)
    return None


TAG = "recovered"
"""Of flow runs that were asked for here: a job that is set aside stays so."""

IDLE = "Nothing new"
"""The state's name of a look that found nothing."""

_CANCELLED = "Cancelled"
_MOST_TIMES = 5
_MOST_DELETED = 200
# The deployable flows that say they are alive: those that are asked for anew, and those that are due again.
_FLOWS = ["resume", "ingest recording", "transcribe"]
_LOOKS = ["ingest", "recover", "retain", "verify"]
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
        await _free_slots(context, client)
        for run in await _unfinished(client, _FLOWS, _STARTING):
            has_died = left.pop(str(run.id), None) is not None
            # It may be tried again by its own worker, under the same id.
            is_lost = _is_older(run, LEASE) if has_died else await _is_lost(context, run, _STARTING)
            if is_lost:
                await client.set_flow_run_state(run.id, Crashed(message="its process died"), force=True)
                asked += await _ask_again(client, run)
        for run_id, job_ids in left.items():
            crashed = await _crashed(client, run_id)
            if crashed is not None:
                asked += await _ask_again(client, crashed)
            else:
                asked += sum([await _resume(job_id, run_id) for job_id in job_ids])
    return asked


def ended_look(asked: int, message: str) -> State[None]:
    """Return the state of a look that has ended; one that found nothing is deleted by a later one."""
    return Completed(message=message) if asked else Completed(name=IDLE, message=message)


async def delete_idle_looks() -> int:
    """Delete the flow runs of looks that found nothing: there are thousands a day, and they bury the others.

    So do those that were never begun, since the look before was still at work.

    Returns:
        How many there were.
    """
    async with get_client() as client:
        idle = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=_LOOKS)),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[IDLE, _CANCELLED])),
                deployment_id=FlowRunFilterDeploymentId(is_null_=False),
            ),
            limit=_MOST_DELETED,
        )
        idle = [run for run in idle if run.state_name != _CANCELLED or run.run_count == 0]
        for run in idle:
            with suppress(ObjectNotFound):
                await client.delete_flow_run(run.id)
    return len(idle)


async def free_slots(context: AppContext) -> None:
    """Free the slots of looks that ended with an earlier server: call it before any flow run is started.

    Such a look holds the one slot of its inbox, so that every later look would be cancelled.
    """
    async with get_client() as client:
        await _free_slots(context, client, timedelta())


async def _free_slots(context: AppContext, client: PrefectClient, grace: timedelta | None = None) -> None:
    """Mark looks whose process is gone as crashed, and free slots of their deployments that none holds."""
    graces = _STARTING | {StateType.CANCELLING: _STARTING[StateType.RUNNING]}
    if grace is not None:
        graces = dict.fromkeys(graces, grace)
    limited = {
        each.id: limit
        for each in await client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=_LOOKS)))
        if (limit := each.global_concurrency_limit) is not None
    }
    held: Counter[UUID | None] = Counter()
    for run in await _unfinished(client, _LOOKS, graces):
        if not await _is_lost(context, run, graces):
            held[run.deployment_id] += 1
            continue
        try:
            await client.set_flow_run_state(run.id, Crashed(message="its process died"), force=True)
        except PrefectHTTPStatusError as error:
            # Where the slot went with its deployment, the server cannot free it, and fails: others go on.
            _log.warning("the flow run %s could not be marked as crashed: %s", run.name, error)
    for deployment_id, before in limited.items():
        # A slot that was freed with its run, or has been taken since, is not freed again.
        limit = await client.read_global_concurrency_limit_by_name(before.name)
        if held[deployment_id] < limit.active_slots <= before.active_slots:
            update = GlobalConcurrencyLimitUpdate(active_slots=held[deployment_id])
            await client.update_global_concurrency_limit(limit.name, update)


async def _unfinished(
    client: PrefectClient, flows: list[str], states: Collection[StateType]
) -> list[FlowRun]:
    """Return the flow runs of deployments that are at work, or would be."""
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=flows)),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
            deployment_id=FlowRunFilterDeploymentId(is_null_=False),
        ),
    )


async def _is_lost(context: AppContext, run: FlowRun, graces: Mapping[StateType, timedelta]) -> bool:
    """Tell whether a flow run's process is gone, after the time that it has in its state to say so."""
    if run.state is None:
        return False
    grace = graces[run.state.type]
    heard_within = context.leases.heard_within
    return _is_older(run, grace) and not await run_blocking(heard_within, str(run.id), grace)


def _is_older(run: FlowRun, time: timedelta) -> bool:
    """Tell whether a flow run has been in its state for longer than a time."""
    return run.state is not None and datetime.now(UTC) - run.state.timestamp > time


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
