"""Calling blocking code from the event loop so that it is seen through, come what may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import stamina

from storage.database.outages import BrokenOffError

P = ParamSpec("P")
T = TypeVar("T")

# Each of them waits as long for the server as `storage.database.outages` has patience.
_TRIES = 5


async def settle(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread and wait for its end, as `see_through` does.

    A cancellation meanwhile takes effect after it: a write to the ledger is never left half known.
    """
    task = asyncio.ensure_future(asyncio.to_thread(lambda: see_through(function, *args, **kwargs)))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        raise


def see_through(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, and again if the database's server went away amid a transaction of it.

    That may have been committed all the same, so the function must be one that can be said twice: an
    answer that was paid for is not to be lost because of a restart.

    Raises:
        BrokenOffError: it went away again and again.
    """
    for attempt in stamina.retry_context(on=BrokenOffError, attempts=_TRIES, timeout=None, wait_max=2.0):
        with attempt:
            return function(*args, **kwargs)
    raise AssertionError("stamina ended without a result or an error")
