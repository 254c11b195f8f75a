"""A proxy before a server of S3, over real HTTP, that lets requests go wrong by script."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "expect", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server behind said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange:
    """One request being answered: by the server behind, by us, or not at all."""

    def __init__(self, sent: Sent, handler: _Handler) -> None:
        self.sent = sent
        self._handler = handler

    def forward(self) -> Reply:
        """Let the server behind do it; the client is not told."""
        return self._handler.forward(self.sent)

    def answer(self, reply: Reply) -> None:
        self._handler.reply(reply, len(reply.body))

    def refuse(self, status: int, code: str) -> None:
        """Answer with S3's envelope for errors."""
        body = f"<Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
        self.answer(Reply(status, [("Content-Type", "application/xml")], body))

    def cut(self, reply: Reply) -> None:
        """Send half of a reply and hang up."""
        half = Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
        self._handler.reply(half, len(reply.body))
        self.hang_up()

    def hang_up(self) -> None:
        self._handler.close_connection = True


Fault = Callable[[Exchange], None]


def slow_down(exchange: Exchange) -> None:
    exchange.refuse(503, "SlowDown")


def conflict(exchange: Exchange) -> None:
    """What S3 says to a conditional put while another put or delete of the key is under way."""
    exchange.refuse(409, "ConditionalRequestConflict")


def lost_reply(exchange: Exchange) -> None:
    """Do it, and hang up in place of a reply."""
    exchange.forward()
    exchange.hang_up()


def hang_up(exchange: Exchange) -> None:
    """Do nothing, and hang up."""
    exchange.hang_up()


def cut_reply(exchange: Exchange) -> None:
    """Do it, and hang up amid the reply."""
    exchange.cut(exchange.forward())


class S3Proxy:
    """What a test holds; made by `s3_proxy`.

    Attributes:
        requests: what came in, as (method, end of the path).
        delay_s: how long each request is held up.
    """

    def __init__(self, behind: str) -> None:
        self.requests: list[tuple[str, str]] = []
        self.delay_s = 0.0
        self.behind = urlsplit(behind)
        self._faults: list[tuple[str, str, Fault]] = []
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def script(self, method: str, ending: str, *faults: Fault) -> None:
        """Name the faults of the next requests with a method whose path ends so; each is used up by one."""
        with self._lock:
            self._faults += [(method, ending, fault) for fault in faults]

    @property
    def left(self) -> int:
        """How many faults have not come to pass."""
        return len(self._faults)

    def clear(self) -> None:
        """Let all go well from now on."""
        with self._lock:
            self._faults.clear()

    def asked(self, method: str, ending: str) -> int:
        """Count the requests with a method whose path ended so."""
        return sum(each == method and path.endswith(ending) for each, path in self.requests)

    def next_fault(self, sent: Sent) -> Fault | None:
        path = urlsplit(sent.path).path
        with self._lock:
            self.requests.append((sent.method, path))
            for number, (method, ending, fault) in enumerate(self._faults):
                if method == sent.method and path.endswith(ending):
                    del self._faults[number]
                    return fault
        return None

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def s3_proxy(behind: str) -> Iterator[S3Proxy]:
    """Serve until the block ends.

    Args:
        behind: the URL of the server that does what is asked.
    """
    proxy = S3Proxy(behind)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: S3Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = Sent(self.command, self.path, dict(self.headers.items()), body)
        time.sleep(self.server.owner.delay_s)
        exchange = Exchange(sent, self)
        fault = self.server.owner.next_fault(sent)
        if fault is None:
            exchange.answer(exchange.forward())
        else:
            fault(exchange)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _exchange  # noqa: N815 - http.server looks for these

    def forward(self, sent: Sent) -> Reply:
        behind = self.server.owner.behind
        connection = http.client.HTTPConnection(behind.hostname or "", behind.port)
        try:
            headers = {name: value for name, value in sent.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(sent.method, sent.path, sent.body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def reply(self, reply: Reply, length: int) -> None:
        """Send a reply, which says that it is so long."""
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = int(value)
            elif name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""
