"""A server of one object whose connections break: enough of S3 to download from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class BreakingObject:
    """What is served, and what happened.

    Attributes:
        data: the content.
        etag: empty for a server that has none.
        bytes_a_connection: after so many bytes of body each connection breaks.
        knows_ranges: False answers every request with the whole.
        asked: the Range of each GET.
    """

    data: bytes
    etag: str = '"one"'
    bytes_a_connection: int = 1 << 40
    knows_ranges: bool = True
    asked: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: BreakingObject

    def do_HEAD(self) -> None:
        self._send_head(200, len(self.served.data))

    def do_GET(self) -> None:
        served = self.served
        asked = self.headers["Range"]
        served.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if served.knows_ranges else 0
        body = served.data[start:]
        self._send_head(206 if served.knows_ranges else 200, len(body), start)
        self.wfile.write(body[: served.bytes_a_connection])
        self.close_connection = len(body) > served.bytes_a_connection

    def _send_head(self, status: int, length: int, start: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if self.served.etag:
            self.send_header("ETag", self.served.etag)
        if status == 206:
            size = len(self.served.data)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        pass


@contextmanager
def serving(served: BreakingObject) -> Iterator[str]:
    """Serve the object under any key for the block; gives the endpoint URL."""
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
