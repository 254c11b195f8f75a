"""Resuming a job that speaks, inside a flow run that Prefect started."""

from __future__ import annotations

import logging

from prefect.client.schemas import State
from prefect.states import Completed, Failed

from stenoflow.flows.shared_limits import set_limits, shared_limits
from stenoflow.flows.speak import Speaking
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext

_log = logging.getLogger(__name__)


async def speak_again(context: AppContext, job_id: str) -> State[None]:
    """Speak what is missing of a job; SIGTERM, by which Prefect cancels, ends it as Ctrl-C does."""
    context.check()
    await set_limits(context.settings)
    outer = shared_limits(context.settings)
    speaking = Speaking(context, calls_at_once(context.settings, None), _log.info, outer)
    try:
        async with speaking.open():
            spoken = await speaking.speak(await run_blocking(context.catalog.job, job_id))
    except StenoflowError as error:
        return Failed(message=str(error))
    return Completed(message=f"{spoken.pieces} pieces are spoken")
