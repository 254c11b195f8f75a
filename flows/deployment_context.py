"""The context of a deployment's flow run: the limit of calls of all workers, cancelling, logs, its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.concurrency.asyncio import concurrency, rate_limit
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from stenoflow.flows.dashboard import DashboardProgress
from stenoflow.flows.desk import why
from stenoflow.flows.dispatch import recovering
from stenoflow.flows.outcome import Outcome
from stenoflow.flows.prefect_runs import as_task_run, within_flow_run
from stenoflow.flows.runner import Runner
from stenoflow.storage.database.states import JobState
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.settings import Settings, load_settings

CALLS = "stenoflow-calls"
"""The limit on calls in flight."""
CALLS_A_MINUTE = "stenoflow-calls-a-minute"
"""The limit on calls begun in a minute."""

# A worker that dies gives its slots back after this, which the server's own shortest is.
_LEASE_S = 60.0
_log = logging.getLogger(__name__)

Slot = Callable[[], AbstractAsyncContextManager[None]]


def shared_limits(settings: Settings) -> Slot | None:
    """Return what a call passes through before it is made; None where nothing is limited for all."""
    names = [
        *([CALLS] if settings.shared_calls is not None else []),
        *([CALLS_A_MINUTE] if settings.shared_calls_a_minute is not None else []),
    ]
    return (lambda: _slot(names)) if names else None


async def set_limits(settings: Settings) -> None:
    """Create the limits that the settings ask for, or bring them up to date."""
    async with get_client() as client:
        if settings.shared_calls is not None:
            await client.upsert_global_concurrency_limit_by_name(CALLS, settings.shared_calls)
        if (a_minute := settings.shared_calls_a_minute) is not None:
            await client.upsert_global_concurrency_limit_by_name(
                CALLS_A_MINUTE, a_minute, slot_decay_per_second=a_minute / 60
            )


@asynccontextmanager
async def _slot(names: list[str]) -> AsyncIterator[None]:
    """Hold a slot of each; without a server, the process's own limit is all there is."""
    async with AsyncExitStack() as stack:
        try:
            if CALLS_A_MINUTE in names:
                await rate_limit(CALLS_A_MINUTE)
            if CALLS in names:
                await stack.enter_async_context(concurrency(CALLS, lease_duration=_LEASE_S))
        except Exception as error:  # noqa: BLE001 - whatever ails the server must not keep a meeting waiting
            _log.warning("no slot could be had from Prefect; this machine's own limit holds: %s", error)
        yield


@asynccontextmanager
async def runner_in_flow_run(*, of_many: bool = False) -> AsyncIterator[Runner]:
    """Open a runner for the flow run that this is called in.

    SIGTERM, by which Prefect cancels, ends it as Ctrl-C ends the command: calls in flight are waited for.

    Args:
        of_many: it takes one recording after another, so that each is a task run of it.
    """
    with open_flow_run_context() as context:
        context.check()
        async with recovering(context), DashboardProgress(context, of_many=of_many) as progress:
            await set_limits(context.settings)
            calls, outer = calls_at_once(context.settings, None), shared_limits(context.settings)
            transcribe = as_task_run if of_many else within_flow_run
            runner = Runner(context, calls, progress, transcribe, outer)
            with _stopped_by_signals(runner):
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


def state_of(settings: Settings, outcomes: Iterable[Outcome]) -> State[None]:
    """Return the state of a flow run from what became of its recordings, with links to the desk."""
    told = list(outcomes)
    broken = [outcome for outcome in told if outcome.status != JobState.COMPLETE]
    if not broken:
        return Completed(message=f"{len(told)} complete")
    reasons = "; ".join(
        why(settings, outcome.job, (outcome.error or {}).get("message")) for outcome in broken[:3]
    )
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
def _stopped_by_signals(runner: Runner) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # A terminal that hangs up tells flow runs, too, unless they were started under nohup.
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        loop.add_signal_handler(number, runner.stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
