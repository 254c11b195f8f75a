"""A receiver of webhooks on a real loopback socket, which checks signatures by its own code.

with webhook_server() as receiver:
    receiver.script(["500", "500"])
    ...  # send to receiver.url
    (event,) = receiver.taken
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"not a secret of anybody's, 32 by").decode()
_TOLERANCE_S = 300


@dataclass(frozen=True)
class Delivery:
    """One request as it came in."""

    id: str
    headers: dict[str, str]
    body: bytes
    signed: bool

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


class WebhookServer:
    """What a test holds. ``mode`` is what requests beyond the script get: a status, "hang" or "drip"."""

    def __init__(self, secret: str, mode: str) -> None:
        self.mode = mode
        self.deliveries: list[Delivery] = []
        self.taken: list[Delivery] = []
        self.elsewhere = 0
        self.stopping = threading.Event()
        self.arrived = threading.Event()
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._script: deque[str] = deque()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.origin}/hooks/path-canary?token=query-canary"

    def script(self, modes: Iterable[str]) -> None:
        self._script.extend(modes)

    def types(self) -> list[str]:
        return [delivery.event["type"] for delivery in self.taken]

    def receive(self, headers: dict[str, str], body: bytes) -> str:
        mode = self._script.popleft() if self._script else self.mode
        delivery = Delivery(headers.get("webhook-id", ""), headers, body, self._is_signed(headers, body))
        self.deliveries.append(delivery)
        if mode.startswith("2"):
            self.taken.append(delivery)
        self.arrived.set()
        return mode

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        told_id, told_at = headers["webhook-id"], headers["webhook-timestamp"]
        signature = hmac.digest(self._key, b".".join([told_id.encode(), told_at.encode(), body]), "sha256")
        fresh = abs(time.time() - int(told_at)) < _TOLERANCE_S
        return fresh and headers["webhook-signature"] == f"v1,{base64.b64encode(signature).decode()}"

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def webhook_server(secret: str = SECRET, *, mode: str = "200") -> Iterator[WebhookServer]:
    """Serve until the block ends."""
    server = WebhookServer(secret, mode)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: WebhookServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self) -> None:
        owner = self.server.owner
        if not self.path.startswith("/hooks/"):
            owner.elsewhere += 1
        headers = {name.lower(): value for name, value in self.headers.items()}
        mode = owner.receive(headers, self.rfile.read(int(self.headers["Content-Length"])))
        if mode == "hang":
            owner.stopping.wait()
        elif mode == "drip":
            self._drip()
        else:
            self._answer(int(mode))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"{self.server.owner.origin}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self) -> None:
        """Answer a header line at a time, for ever: no single wait is long."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.owner.stopping.wait(0.02):
            self.wfile.write(b"X-More: to come\r\n")
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""
