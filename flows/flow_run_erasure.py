"""Erasing what Prefect knows of a job: its flow runs, whose names and parameters tell of the recording."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from stenoflow.flows.prefect_server import begin_start, surround, temporary_server

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient


_log = logging.getLogger(__name__)
_PAGE = 100
_TIMEOUT_S = 30.0
_WRITTEN_WITHIN_S = 6.0
# Where Prefect's server writes what happened, with names: for seven days, by its default.
_TELLING = {"event_resources": ["resource"], "events": ["resource", "related", "payload"], "log": ["message"]}


def erase_flow_runs(home: Path, name: str, source: str, job_ids: Collection[str]) -> int:
    """Delete the flow runs of jobs, with their task runs and results, and what the dashboard shows of them.

    Args:
        home: our own home, in which the embedded server keeps its database.
        name: the recording's, which its flow runs bear; those that resume a job bear the job's id.
        source: its address.
        job_ids: the jobs.

    Returns:
        How many flow runs there were.

    Raises:
        PrefectError: the server could not be reached.
    """
    is_ours = "PREFECT_API_URL" not in os.environ
    surround(home)
    is_served = is_ours and "PREFECT_API_URL" in os.environ
    database = Path(os.environ["PREFECT_HOME"]) / "prefect.db"
    if is_served or not is_ours:
        deleted = asyncio.run(_forget(name, source, job_ids))
    elif database.exists():
        # Nobody serves it now; what `stenoflow serve` ran here stands in it all the same.
        with temporary_server(home):
            deleted = asyncio.run(_forget(name, source, job_ids))
    else:
        return 0
    if is_ours and database.exists():
        if is_served:
            # Its last events are written by then.
            time.sleep(_WRITTEN_WITHIN_S)
        # As it is, as JSON writes it, and as it stands in an address.
        _scrub(database, {name, json.dumps(name)[1:-1], source.rpartition("/")[2]} - {""})
    return deleted


def _scrub(database: Path, spellings: Collection[str]) -> None:
    """Take a name out of our own server's events and logs, and out of what is free in its file."""
    with closing(sqlite3.connect(database, timeout=_TIMEOUT_S, isolation_level=None)) as connection:
        try:
            for table, columns in _TELLING.items():
                told = " OR ".join(f"instr({column}, :name)" for column in columns)
                statement = f"DELETE FROM {table} WHERE {told}"  # noqa: S608 - names of ours
                connection.executemany(statement, [{"name": spelling} for spelling in spellings])
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            # Another program has it open; what is left lies in free pages, and is written over in time.
            _log.warning("%s could not be cleared: %s", database, error)


async def _forget(name: str, source: str, job_ids: Collection[str]) -> int:
    await begin_start().ready()
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - takes seconds
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName  # noqa: PLC0415

    from stenoflow.flows.dashboard import names_of  # noqa: PLC0415 - as above

    named = FlowRunFilter(name=FlowRunFilterName(any_=[*names_of(name), *job_ids]))
    deleted = passed_over = 0
    async with get_client() as client:
        await _forget_what_is_shown(client, job_ids)
        await _forget_task_runs(client, job_ids)
        while runs := await client.read_flow_runs(flow_run_filter=named, limit=_PAGE, offset=passed_over):
            for run in runs:
                # Other recordings may be called the same.
                if _is_of(run.parameters, source, job_ids):
                    await client.delete_flow_run(run.id)
                    deleted += 1
                else:
                    passed_over += 1
    return deleted


def _is_of(parameters: Mapping[str, Any], source: str, job_ids: Collection[str]) -> bool:
    """Tell whether a flow run was one of a recording's: by its jobs, or by its address or path."""
    places = {source, unquote(source.removeprefix("file://"))}
    ours = parameters.get("job_id") in job_ids or parameters.get("job") in job_ids
    return ours or parameters.get("source") in places


async def _forget_what_is_shown(client: PrefectClient, job_ids: Collection[str]) -> None:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey  # noqa: PLC0415 - as above

    from stenoflow.flows.dashboard import keys_of  # noqa: PLC0415 - as above

    keys = [key for job_id in job_ids for key in keys_of(job_id)]
    shown = ArtifactFilter(key=ArtifactFilterKey(any_=keys))
    for artifact in await client.read_artifacts(artifact_filter=shown) if keys else []:
        await client.delete_artifact(artifact.id)


async def _forget_task_runs(client: PrefectClient, job_ids: Collection[str]) -> None:
    """Delete the task runs of jobs in flow runs of many recordings: their names tell."""
    from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName  # noqa: PLC0415 - as above

    for job_id in job_ids:
        named = TaskRunFilter(name=TaskRunFilterName(like_=job_id))
        for run in await client.read_task_runs(task_run_filter=named):
            await client.delete_task_run(run.id)
