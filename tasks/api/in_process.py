"""Reaching an ASGI app in this process as if it were a server: its answer comes as the app gives it.

httpx's own ASGITransport hands an answer over only when it is whole, so that nobody hears the first word
before the last one is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import httpx

AsgiMessage = MutableMapping[str, Any]
App = Callable[
    [AsgiMessage, Callable[[], Awaitable[AsgiMessage]], Callable[[AsgiMessage], Awaitable[None]]],
    Awaitable[None],
]

# Parts of an answer that may wait to be read.
_MOST_WAITING = 64


class InProcessTransport(httpx.AsyncBaseTransport):
    """The way to an ASGI app in this process and event loop.

    Whatever an app raises before its answer begins is raised as it is, as by ASGITransport; later it ends the
    answer as a broken connection would. A client that goes away ends the app's work.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; returns once the answer has begun."""
        exchange = _Exchange(request)
        work = asyncio.ensure_future(self._app(_scope(request), exchange.receive, exchange.send))
        work.add_done_callback(exchange.ended)
        try:
            status, headers = await exchange.begun
        except BaseException:
            work.cancel()
            raise
        return httpx.Response(status, headers=headers, stream=_Stream(exchange, work))


class _Exchange:
    """One request with its answer, on the app's side."""

    def __init__(self, request: httpx.Request) -> None:
        self._body = aiter(request.stream) if isinstance(request.stream, httpx.AsyncByteStream) else None
        self._is_read = False
        self.begun: asyncio.Future[tuple[int, Any]] = asyncio.get_running_loop().create_future()
        self.parts: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self.over = asyncio.Event()
        self.error: BaseException | None = None

    async def receive(self) -> AsgiMessage:
        """Give the app the request's body, and then the news that nobody waits any more."""
        if self._is_read or self._body is None:
            await self.over.wait()
            return {"type": "http.disconnect"}
        try:
            return {"type": "http.request", "body": await anext(self._body), "more_body": True}
        except StopAsyncIteration:
            self._is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: AsgiMessage) -> None:
        """Take what the app answers."""
        if message["type"] == "http.response.start":
            self.begun.set_result((message["status"], message.get("headers", [])))
            return
        if body := message.get("body", b""):
            await self.parts.put(body)
        if not message.get("more_body", False):
            self.over.set()

    def ended(self, work: asyncio.Future[None]) -> None:
        """Note how the app came to its end."""
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if not self.begun.done():
            self.begun.set_exception(error or httpx.RemoteProtocolError("there was no answer"))
        if not self.over.is_set():
            self.error = error or httpx.RemoteProtocolError("the answer has no end")
            self.over.set()


class _Stream(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, exchange: _Exchange, work: asyncio.Future[None]) -> None:
        self._exchange = exchange
        self._work = work

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        over = asyncio.ensure_future(exchange.over.wait())
        part = asyncio.ensure_future(exchange.parts.get())
        try:
            while True:
                await asyncio.wait([part, over], return_when=asyncio.FIRST_COMPLETED)
                if not part.done():
                    break
                yield part.result()
                part = asyncio.ensure_future(exchange.parts.get())
        finally:
            part.cancel()
            over.cancel()
        while not exchange.parts.empty():
            yield exchange.parts.get_nowait()
        if exchange.error is not None:
            raise httpx.ReadError(f"the app ended: {exchange.error}") from exchange.error

    async def aclose(self) -> None:
        """Let the app end what it does after its answer; or end it, if nobody waits for the rest."""
        if not self._exchange.over.is_set():
            self._exchange.over.set()
            self._work.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.wait([self._work])


def _scope(request: httpx.Request) -> AsgiMessage:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
