"""The way to one provider: how many calls at once, and a stop for all when calling makes no sense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from stenoflow.tasks.api.errors import CallError, RateLimitedError


class Limiter:
    """Limits the calls in flight to one provider; one a process and event loop.

    The limit is halved when the API asks for fewer calls, and grows back by one for each round of calls
    that succeed. While the API asks to wait, no one passes.

    Args:
        limit: the most calls at once.
        timeout_s: who would have to wait longer than this for the API gets its refusal instead.
        clock: monotonic seconds.
        outer: what a call passes through before it is made, such as a limit for many machines.
    """

    def __init__(
        self,
        limit: int,
        *,
        timeout_s: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        outer: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        if limit < 1:
            raise ValueError(f"a limiter for {limit} calls at once lets no one through")
        self._most = limit
        self._allowed = float(limit)
        self._busy = 0
        self._cuts = 0
        self._timeout_s = timeout_s
        self._clock = clock
        self._outer = outer or nullcontext
        self._stopped_by: CallError | None = None
        self._refusal: RateLimitedError | None = None
        self._opens_at = clock()
        self._changed = asyncio.Event()

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return int(self._allowed)

    @property
    def busy(self) -> int:
        """How many calls are in flight now."""
        return self._busy

    @asynccontextmanager
    async def slot(self, *, patience_s: float | None = None, stops: bool = True) -> AsyncIterator[None]:
        """Hold one place for one call, and learn from how it ends.

        Args:
            patience_s: in place of the limiter's own ``timeout_s``.
            stops: a failure that is about the provider stops all its calls; False: somebody else decides who
                is asked.

        Raises:
            CallError: the one that stopped the provider, at once; or a refusal that asks to wait longer
                than the limiter's patience.
        """
        await self._enter(self._timeout_s if patience_s is None else patience_s)
        cuts = self._cuts
        try:
            async with self._outer():
                # It may have been stopped while that was waited for.
                self._refuse_if_stopped()
                yield
        except RateLimitedError as error:
            # Calls that went out before the last cut say nothing about the limit since.
            self.on_rate_limited(error, cut=cuts == self._cuts)
            raise
        except CallError as error:
            if stops and error.scope == "provider":
                self.stop(error)
            raise
        else:
            self.on_success()
        finally:
            self._busy -= 1
            self._notify()

    @property
    def is_stopped(self) -> bool:
        """Whether nobody gets through any more."""
        return self._stopped_by is not None

    def stop(self, error: CallError) -> None:
        """Give this error to everyone who waits or comes later; the first one stays."""
        self._stopped_by = self._stopped_by or error
        self._notify()

    def on_rate_limited(self, error: RateLimitedError, *, cut: bool = True) -> None:
        """Halve the limit (if ``cut``), and let no one pass until the time that the API named."""
        if cut:
            self._allowed = max(1.0, self._allowed / 2)
            self._cuts += 1
        self._refusal = error
        self._opens_at = max(self._opens_at, self._clock() + (error.retry_after_s or 0.0))

    def on_success(self) -> None:
        """Let the limit grow back a little."""
        self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)

    async def _enter(self, patience_s: float) -> None:
        while not self._may_enter(patience_s):
            pause_s = self._opens_at - self._clock()
            try:
                async with asyncio.timeout(pause_s if pause_s > 0 else None):
                    await self._changed.wait()
            except TimeoutError:
                continue
        self._busy += 1

    def _may_enter(self, patience_s: float) -> bool:
        self._refuse_if_stopped()
        pause_s = self._opens_at - self._clock()
        if self._refusal is not None and pause_s > patience_s:
            raise again(self._refusal)
        return pause_s <= 0 and self._busy < self.limit

    def _refuse_if_stopped(self) -> None:
        if self._stopped_by is not None:
            raise again(self._stopped_by)

    def _notify(self) -> None:
        """Wake everyone who waits; all of this runs in one thread, so no lock is needed."""
        self._changed.set()
        self._changed = asyncio.Event()


def again(error: CallError) -> CallError:
    """Return an equal error to raise: one object raised in many tasks would mix up their tracebacks."""
    return type(error)(*error.args)
