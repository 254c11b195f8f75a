"""Weights that have a name come from the Hugging Face hub: once, and going on where that was broken off."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

_REPOSITORY = "somebody/faster-whisper-nano"
_COMMIT = "c" * 40
# The client writes 10 MB at a time.
_MODEL = bytes(24_000_000)
_FILES = {"model.bin": _MODEL, "vocabulary.txt": b"x\n" * 51_864, "config.json": b"{}", "README.md": b"no"}
_PROGRAM = f"""
from stenoflow.tasks.engine.weights import find_weights
found = find_weights("{_REPOSITORY}")
print(found.model, found.sha256)
"""


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as the client asks for."""

    broken: ClassVar[set[str]] = set()
    ranges: ClassVar[list[str | None]] = []

    def do_HEAD(self) -> None:
        """Describe a file."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Give the list of files, or one of them."""
        if self.path.startswith("/api/"):
            files = [
                {"rfilename": name, "path": name, "type": "file", "size": len(data), "oid": name}
                for name, data in _FILES.items()
            ]
            listing: dict[str, Any] | list[Any] = {"id": _REPOSITORY, "sha": _COMMIT, "siblings": files}
            body = json.dumps(files if "/tree/" in self.path else listing).encode()
            self._head(200, len(body), {})
            self.wfile.write(body)
        else:
            self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        name = self.path.rpartition("/")[2]
        data = _FILES[name]
        tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": _COMMIT}
        asked = self.headers.get("Range")
        first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        part = data[first:]
        if asked:
            tag["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._head(206 if asked else 200, len(part), tag)
        if not with_body:
            return
        if name == "model.bin":
            self.ranges.append(asked)
            if self.broken:
                self.broken.clear()
                part = part[: len(part) // 2]
        self.wfile.write(part)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called there
        """Say nothing."""


@contextmanager
def hub() -> Iterator[str]:
    """Serve the hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _find(endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_named_model_is_downloaded_once_and_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    Hub.broken.add("once")
    with hub() as endpoint:
        first = _find(endpoint, tmp_path)
        if first.returncode:
            first = _find(endpoint, tmp_path)
        expected = f"whisper-nano {hashlib.sha256(_MODEL).hexdigest()}\n"
        assert (first.stdout, first.returncode) == (expected, 0), first.stderr
        assert "%" in first.stderr, "progress is shown"
        asked = len(Hub.ranges)
        assert Hub.ranges[-1] is not None, "the rest alone was asked for"
    # Without a network: it is there.
    again = _find(endpoint, tmp_path)
    assert (again.stdout, again.returncode, len(Hub.ranges)) == (expected, 0, asked), again.stderr
    assert not list(tmp_path.rglob("README.md")), "nothing else is taken"


def test_without_a_network_it_is_said_what_to_do(tmp_path: Path) -> None:
    failed = _find("http://127.0.0.1:9", tmp_path)
    assert f"the Whisper model {_REPOSITORY} cannot be downloaded" in failed.stderr
