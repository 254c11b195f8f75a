"""Sending one event until it is taken, within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor

import httpx
import stamina
from standardwebhooks.webhooks import Webhook

from tasks.audio_api.retry_after import retry_after_s
from tasks.errors import FailedError
from tasks.webhooks.endpoint import Endpoint
from tasks.webhooks.events import Event

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
        except TimeoutError as error:
            raise UndeliveredError(f"{self._endpoint.origin} did not take it in time") from error
        except httpx.HTTPError as error:
            # Its own words might hold the address.
            raise UndeliveredError(f"{self._endpoint.origin}: {type(error).__name__}") from error

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
        async with httpx.AsyncClient(timeout=None, follow_redirects=False) as http:  # noqa: S113 - ours is total
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
