"""The embedded Prefect server, in a process of its own that ends with ours.

Prefect can start one too, but loads the whole server into the process that asks: 70 MB and seconds.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx

# The first start in a new home runs a few hundred migrations.
_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.1
# As Prefect marks the server that it starts for itself: no pages, nothing scheduled.
_EMBEDDED = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that starts or runs.

    Attributes:
        api_url: where it answers.
    """

    api_url: str
    _process: subprocess.Popen[bytes]
    # Its standard input is a pipe that only we hold.
    _guard: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait until it answers. Raises RuntimeError or TimeoutError if it never will."""
        ends_at = time.monotonic() + _PATIENCE_S
        with httpx.Client(trust_env=False) as client:
            while not self._answers(client):
                if self._process.poll() is not None:
                    raise RuntimeError(f"its server ended with code {self._process.returncode}")
                if time.monotonic() > ends_at:
                    raise TimeoutError(f"its server did not answer within {_PATIENCE_S:.0f} s")
                time.sleep(_LOOK_EVERY_S)

    def _answers(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"{self.api_url}/health").is_success
        except httpx.TransportError:
            return False


def start_server() -> Server:
    """Start one on a free port of the loopback; `Server.wait` waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Handed over open, so that no other program can take the port between.
        args = ["--factory", "prefect.server.api.server:create_app", "--fd", str(listening.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "uvicorn", *args, "--log-level", "error", "--lifespan", "on"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **_EMBEDDED},
            pass_fds=[listening.fileno()],
            # Ctrl-C is for us, who still store the replies of calls in flight.
            start_new_session=True,
        )
        port = listening.getsockname()[1]
    return Server(f"http://127.0.0.1:{port}/api", process, _end_with_us(process.pid))


def _end_with_us(pid: int) -> subprocess.Popen[bytes]:
    """See to it that the server ends with this process, even if that is killed.

    A shell reads from a pipe that only we hold, and ends the server when the pipe closes.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", f"read -r _; kill {pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
