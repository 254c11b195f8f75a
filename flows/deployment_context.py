"""A runner inside a flow run that Prefect started: watched in the dashboard, stopped by a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from stenoflow.flows.dashboard import DashboardProgress
from stenoflow.flows.orchestration import within_flow_run
from stenoflow.flows.outcome import Outcome
from stenoflow.flows.runner import Runner
from stenoflow.flows.shared_limits import set_limits, shared_limits
from stenoflow.storage.database.states import JobState
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.settings import load_settings

_log = logging.getLogger(__name__)


@asynccontextmanager
async def runner_in_flow_run() -> AsyncIterator[Runner]:
    """Open a runner for the flow run that this is called in.

    SIGTERM, by which Prefect cancels, ends it as Ctrl-C ends the command: calls in flight are waited for.
    """
    with open_flow_run_context() as context:
        context.check()
        async with DashboardProgress(context) as progress:
            await set_limits(context.settings)
            calls, outer = calls_at_once(context.settings, None), shared_limits(context.settings)
            runner = Runner(context, calls, progress, within_flow_run, outer)
            with _stopped_by_sigterm(runner):
                yield runner


@contextmanager
def open_flow_run_context() -> Iterator[AppContext]:
    """Open the context under the flow run's own id, so that who finds it dead finds its flow run too."""
    with _logs_in_the_dashboard(), open_context(load_settings(), flow_run.id) as context:
        yield context


async def is_cancelled() -> bool:
    """Tell whether somebody cancelled the flow run, rather than its worker being stopped."""
    if flow_run.id is None:
        return False
    async with get_client() as client:
        state = (await client.read_flow_run(UUID(flow_run.id))).state
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def state_of(outcomes: Iterable[Outcome]) -> State[None]:
    """Return the state of a flow run from what became of its recordings."""
    told = list(outcomes)
    broken = [outcome for outcome in told if outcome.status != JobState.COMPLETE]
    if not broken:
        return Completed(message=f"{len(told)} complete")
    reasons = "; ".join((outcome.error or {}).get("message", "") for outcome in broken[:3])
    name = broken[0].status.title() if len({outcome.status for outcome in broken}) == 1 else "Failed"
    return Failed(name=name, message=f"{len(told) - len(broken)} of {len(told)} complete; {reasons}")


@contextmanager
def _logs_in_the_dashboard() -> Iterator[None]:
    """Send what we log to Prefect, whatever its own loggers are set to."""
    handler = APILogHandler()
    ours = [logging.getLogger(name) for name in ("stenoflow",)]
    before = [logger.level for logger in ours]
    for logger in ours:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(ours, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


@contextmanager
def _stopped_by_sigterm(runner: Runner) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, runner.stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
