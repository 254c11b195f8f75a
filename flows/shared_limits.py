"""One limit of calls for all workers of a Prefect server, beside each process's own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import concurrency, rate_limit

from stenoflow.tasks.settings import Settings

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
