"""Erasing what Prefect knows of a job: its flow runs, whose names and parameters tell of the recording."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from pathlib import Path

from flows.orchestration import begin_start, surround

_PAGE = 100


def forget_flow_runs(home: Path, name: str, job_ids: Collection[str]) -> int:
    """Delete the flow runs of jobs, with their task runs and results.

    Args:
        home: our own home, in which the embedded server keeps its database.
        name: the recording's, which its flow runs bear.
        job_ids: the jobs.

    Returns:
        How many there were.

    Raises:
        PrefectError: the server could not be reached.
    """
    surround(home)
    if "PREFECT_API_URL" not in os.environ and not (Path(os.environ["PREFECT_HOME"]) / "prefect.db").exists():
        return 0
    return asyncio.run(_forget(name, job_ids))


async def _forget(name: str, job_ids: Collection[str]) -> int:
    await begin_start().ready()
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - takes seconds
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName  # noqa: PLC0415

    named = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    deleted = passed_over = 0
    async with get_client() as client:
        while runs := await client.read_flow_runs(flow_run_filter=named, limit=_PAGE, offset=passed_over):
            for run in runs:
                # Other recordings may be called the same.
                if run.parameters.get("job_id") in job_ids:
                    await client.delete_flow_run(run.id)
                    deleted += 1
                else:
                    passed_over += 1
    return deleted
