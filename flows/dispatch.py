"""One flow run a recording, on whichever worker is free: Prefect hands them out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun
from prefect.deployments.flow_runs import arun_deployment

from stenoflow.flows.ingest import see_to
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, ScannedRecording

DEPLOYMENT = "stenoflow"
"""What each flow's deployment is called, in `prefect.yaml` and by `stenoflow serve`."""

TAKE_IN = f"take in/{DEPLOYMENT}"
RESUME = f"resume/{DEPLOYMENT}"
# A run that ends before it has taken its recording is made anew so often.
_TRIES = 3
_log = logging.getLogger(__name__)


async def dispatch(reception: InboxScanner, interval_s: float, *, reject: bool) -> int:
    """Have each recording that is new and complete taken in by a flow run of its own.

    Looks as often as it takes to know what is complete. What a run has in hand already is left to it.

    Returns:
        How many flow runs were asked for.
    """
    asked = 0
    for looks_left in reversed(range(reception.settling.looks)):
        look = await run_blocking(reception.look)
        await see_to(reception, _log.warning, rejects=reject)
        for arrived in look:
            asked += await _hand_over(reception, arrived, reject=reject)
        if not looks_left or not reception.growing:
            break
        await asyncio.sleep(interval_s)
    return asked


async def _hand_over(reception: InboxScanner, arrived: ScannedRecording, *, reject: bool) -> bool:
    in_hand, last_run = await run_blocking(reception.context.arrivals.is_in_hand, arrived.id)
    if in_hand:
        return False
    parameters = {
        "inbox": reception.inbox.address,
        "source": arrived.entry.source.uri,
        "options": arrived.options.model_dump(mode="json", exclude_defaults=True),
        "reject": reject,
    }
    # Asked for again and again, it is one run; if that dies with the recording in hand, another.
    key = f"{arrived.id} {last_run or ''}"
    return await ask_for(TAKE_IN, parameters, key, arrived.options.priority) is not None


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
