"""Admission: who is recognised now, who waits, and who is sent away, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from starlette.requests import Request

from stenoflow.tasks.engine.api_errors import ApiErrorReply

# Each holds its sound in memory, and their clips take turns; the uploads of those that wait are on disk.
MOST_ACTIVE: Final = 8
MOST_ADMITTED: Final = 32
_RETRY_AFTER_S = 10

T = TypeVar("T")


class ClientLeftError(Exception):
    """The client went away, so nobody waits for the answer."""


class Admission:
    """Lets requests in, up to a bound, and counts them; belongs to one event loop.

    Args:
        active: how many are recognised at once; the others wait in line.
        admitted: how many may be there, waiting or not; the next one is told to come again later.
    """

    def __init__(self, active: int = MOST_ACTIVE, admitted: int = MOST_ADMITTED) -> None:
        self._most = admitted
        self._inside = 0
        self._turns = asyncio.Semaphore(active)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "stenoflow_engine_requests",
            "Requests to recognise, by how they ended.",
            ["outcome"],
            registry=self.registry,
        )
        self._waiting = Gauge(
            "stenoflow_engine_waiting", "Requests that are uploaded or wait.", registry=self.registry
        )
        self._active = Gauge(
            "stenoflow_engine_active", "Requests that are recognised.", registry=self.registry
        )
        self._audio = Counter(
            "stenoflow_engine_audio_seconds", "Sound taken to be recognised.", registry=self.registry
        )

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Be there while a request is answered.

        Raises:
            ApiErrorReply: too many are there; 429, as OpenAI says it.
        """
        if self._inside >= self._most:
            self._requests.labels("rejected").inc()
            raise ApiErrorReply(
                429,
                f"{self._inside} requests are being answered or wait; try again in {_RETRY_AFTER_S} s",
                code="rate_limit_exceeded",
                kind="requests",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._inside += 1
        self._waiting.inc()
        outcome = "failed"
        try:
            yield
            outcome = "answered"
        except (ClientLeftError, asyncio.CancelledError, GeneratorExit):
            outcome = "left"
            raise
        finally:
            self._inside -= 1
            self._waiting.dec()
            self._requests.labels(outcome).inc()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait in line, and be recognised."""
        async with self._turns:
            self._waiting.dec()
            self._active.inc()
            try:
                yield
            finally:
                self._active.dec()
                self._waiting.inc()

    def count_audio(self, seconds: float) -> None:
        """Count sound that is recognised."""
        self._audio.inc(seconds)


async def unless_client_leaves(request: Request, work: Awaitable[T]) -> T:
    """Do work whose request has been received; end it when the client goes away.

    Raises:
        ClientLeftError: it did.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_leave(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
