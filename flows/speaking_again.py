"""Resuming a job that speaks, inside a flow run that Prefect started."""

from __future__ import annotations

import logging

from prefect.client.schemas import State
from prefect.states import Completed, Failed

from flows.limits import set_limits, shared_limits
from flows.speaking import Speaking
from storage.errors import StenoflowError
from tasks.hearing import calls_at_once
from tasks.settling import settle
from tasks.workshop import Workshop

_log = logging.getLogger(__name__)


async def speak_again(workshop: Workshop, job_id: str) -> State[None]:
    """Speak what is missing of a job; SIGTERM, by which Prefect cancels, ends it as Ctrl-C does."""
    workshop.check()
    await set_limits(workshop.settings)
    outer = shared_limits(workshop.settings)
    speaking = Speaking(workshop, calls_at_once(workshop.settings, None), _log.info, outer)
    try:
        async with speaking.open():
            spoken = await speaking.speak(await settle(workshop.catalog.job, job_id))
    except StenoflowError as error:
        return Failed(message=str(error))
    return Completed(message=f"{spoken.pieces} pieces are spoken")
