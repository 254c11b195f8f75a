"""Webhooks: events, signed and delivered to the receiver in the background."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import floor
from typing import Any

import httpx
import stamina
from standardwebhooks.webhooks import Webhook

from stenoflow.storage.reasons import system_reason
from stenoflow.tasks.api.network import open_http
from stenoflow.tasks.api.retry import retry_after_s
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.settings import Endpoint


class EventType(StrEnum):
    """What happened."""

    COMPLETE = "recording.complete"
    PARTIAL = "recording.partial"
    FAILED = "recording.failed"
    REFUSED = "recording.refused"
    BUDGET = "budget.reached"
    """Once a run: a recording was refused or broken off for want of budget."""
    STOPPED = "provider.stopped"
    """Once a run: no further call to the provider makes sense."""
    RETIRING = "model.retiring"
    """Once a run and model: it is shut down within 30 days, or was."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        of: what makes it one of its kind in its run: a job, a model.
        run: the run of the program in which it happened.
        at: when, with its timezone.
        data: JSON.
    """

    type: EventType
    of: str
    run: str
    at: datetime
    data: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """The same however often it is told, so that a receiver can drop what it knows already."""
        parts = f"{self.of}\0{self.run}\0{self.type}".encode(errors="surrogatepass")
        return f"msg_{hashlib.sha256(parts).hexdigest()[:32]}"

    @property
    def body(self) -> str:
        """The JSON that is sent; in ASCII, since file names may hold what is no Unicode."""
        at = self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return json.dumps({"type": self.type, "timestamp": at, "data": {**self.data, "run": self.run}})


_GONE = 410
_PASSING = frozenset({408, 425, 429})


class UndeliveredError(FailedError):
    """A receiver did not take an event."""

    kind = "webhook"


class RefusedByReceiverError(UndeliveredError):
    """It answered something else than 2xx. ``retry_after_s``: how long it asks to wait, if it said so."""

    def __init__(self, message: str, hint: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, status, retry_after_s)
        self.status = status
        self.retry_after_s = retry_after_s


class GoneError(UndeliveredError):
    """It wants no events any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to try; seconds. ``total_s`` is for all tries of an event, ``try_s`` for one."""

    tries: int = 5
    try_s: float = 10.0
    total_s: float = 30.0


class Sender:
    """Sends events to one receiver. Made by `open_sender`."""

    def __init__(self, http: httpx.AsyncClient, endpoint: Endpoint, limits: Limits) -> None:
        self._http = http
        self._endpoint = endpoint
        self._limits = limits
        self._webhook = Webhook(endpoint.secret)

    async def send(self, event: Event) -> None:
        """Send an event, and again where it may yet be taken; it keeps its id.

        Raises:
            GoneError: the receiver wants none any more.
            UndeliveredError: it did not take it.
        """
        try:
            async with asyncio.timeout(self._limits.total_s):
                async for attempt in stamina.retry_context(
                    on=_again,
                    attempts=self._limits.tries,
                    timeout=self._limits.total_s,
                    wait_initial=0.5,
                    wait_max=5.0,
                ):
                    with attempt:
                        await self._try(event)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UndeliveredError(f"{self._endpoint.origin} did not take it in time") from error
        except httpx.HTTPError as error:
            # Its own words might hold the address.
            why = system_reason(error) or "the connection broke before it answered"
            raise UndeliveredError(f"{self._endpoint.origin}: {why}") from error

    async def _try(self, event: Event) -> None:
        now = datetime.now(UTC)
        body = event.body
        headers = {
            "content-type": "application/json",
            "user-agent": "stenoflow",
            "webhook-id": event.id,
            "webhook-timestamp": str(floor(now.timestamp())),
            "webhook-signature": self._webhook.sign(event.id, now, body),
        }
        # httpx's limits are for each part of an answer, which may come in parts for ever.
        async with (
            asyncio.timeout(self._limits.try_s),
            self._http.stream("POST", self._endpoint.url, content=body.encode(), headers=headers) as response,
        ):
            if not response.is_success:
                raise self._refusal(response, now)

    def _refusal(self, response: httpx.Response, now: datetime) -> UndeliveredError:
        status, origin = response.status_code, self._endpoint.origin
        if status == _GONE:
            return GoneError(f"{origin} wants no events any more (410)", "unset STENOFLOW_WEBHOOK_URL")
        hint = "redirects are not followed: set its own address" if response.is_redirect else ""
        wait_s = retry_after_s(response.headers, now)
        return RefusedByReceiverError(f"{origin} answered {status}", hint, status, wait_s)


@asynccontextmanager
async def open_sender(endpoint: Endpoint, limits: Limits | None = None) -> AsyncIterator[Sender]:
    """Open the way to a receiver."""
    logger, whole = logging.getLogger("httpx"), _WholeAddress(httpx.URL(endpoint.url))
    logger.addFilter(whole)
    try:
        async with open_http(endpoint.url, timeout=None, follow_redirects=False) as http:
            yield Sender(http, endpoint, limits or Limits())
    finally:
        logger.removeFilter(whole)


class _WholeAddress(logging.Filter):
    """Drops httpx's lines on requests to an address: they show it whole, and it may hold a secret."""

    def __init__(self, url: httpx.URL) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args if isinstance(record.args, tuple) else ()
        return not any(isinstance(arg, httpx.URL) and arg == self._url for arg in args)


def _again(error: Exception) -> bool | float:
    """Tell whether to send once more, or after how many seconds."""
    if isinstance(error, RefusedByReceiverError):
        passing = error.status >= 500 or error.status in _PASSING
        return error.retry_after_s if passing and error.retry_after_s is not None else passing
    return isinstance(error, (httpx.TransportError, TimeoutError))


# A receiver that is away must not fill the memory of a run that goes on for weeks.
_MOST_WAITING = 1_000


class DeliveryQueue:
    """Takes events at once and delivers them later; belongs to one event loop.

    Args:
        send: delivers one event, or raises UndeliveredError.
        say: told what was not delivered.
    """

    def __init__(self, send: Callable[[Event], Awaitable[None]], say: Callable[[str], object]) -> None:
        self._send = send
        self._say = say
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)
        self._taken: set[str] = set()
        self._in_hand: Event | None = None
        self._is_gone = False
        self._work = asyncio.create_task(self._deliver())

    def take(self, event: Event) -> None:
        """Take an event to deliver; one that was taken before is dropped."""
        if self._is_gone or event.id in self._taken:
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._say(f"event not delivered: {_name(event)}: {_MOST_WAITING} others are waiting")
        else:
            self._taken.add(event.id)

    async def close(self, timeout_s: float) -> None:
        """Deliver what is left, for so long; then say what was not."""
        rest = asyncio.create_task(self._waiting.join())
        await asyncio.wait([rest, self._work], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in (rest, self._work):
            task.cancel()
        await asyncio.wait([rest, self._work])
        left = [self._in_hand] if self._in_hand else []
        while not self._waiting.empty():
            left.append(self._waiting.get_nowait())
        for event in () if self._is_gone else left:
            self._say(f"event not delivered: {_name(event)}: the run ended before the receiver took it")

    async def _deliver(self) -> None:
        while not self._is_gone:
            self._in_hand = await self._waiting.get()
            try:
                await self._send(self._in_hand)
            except Exception as error:  # noqa: BLE001 - whatever it is, the work and the next event go on
                self._is_gone = isinstance(error, GoneError)
                # Told again, it is to be tried again.
                self._taken.discard(self._in_hand.id)
                why = str(error) if isinstance(error, UndeliveredError) else type(error).__name__
                self._say(f"event not delivered: {_name(self._in_hand)}: {why}")
            self._in_hand = None
            self._waiting.task_done()


def _name(event: Event) -> str:
    return f"{event.type} of {event.of}"
