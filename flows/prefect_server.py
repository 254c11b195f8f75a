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
_SOON_S = 2.0
# As Prefect marks the server that it starts for itself: no pages, nothing scheduled. Nobody reads its
# events, which name recordings.
_EMBEDDED = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound to here


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

    @staticmethod
    def answers_at(api_url: str) -> bool:
        """Tell whether a server answers at an address now."""
        with httpx.Client(trust_env=False, timeout=_SOON_S) as client:
            return _answers(client, api_url)

    @property
    def is_running(self) -> bool:
        """Whether its process has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it, and wait for that."""
        self._process.terminate()
        self._process.wait()

    def wait(self) -> None:
        """Wait until it answers. Raises RuntimeError or TimeoutError if it never will."""
        ends_at = time.monotonic() + _PATIENCE_S
        with httpx.Client(trust_env=False) as client:
            while not _answers(client, self.api_url):
                if self._process.poll() is not None:
                    raise RuntimeError(f"its server ended with code {self._process.returncode}")
                if time.monotonic() > ends_at:
                    raise TimeoutError(f"its server did not answer within {_PATIENCE_S:.0f} s")
                time.sleep(_LOOK_EVERY_S)


def _answers(client: httpx.Client, api_url: str) -> bool:
    try:
        return client.get(f"{api_url}/health").is_success
    except (httpx.TransportError, httpx.InvalidURL):
        return False


def start_server(host: str = "127.0.0.1", port: int = 0, *, embedded: bool = True) -> Server:
    """Start one; `Server.wait` waits for it.

    Args:
        host: an address of this machine.
        port: 0 takes a free one.
        embedded: for this program alone; else with pages and schedules, for people and other programs.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        # Handed over open, so that no other program can take the port between.
        args = ["--factory", "prefect.server.api.server:create_app", "--fd", str(listening.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "uvicorn", *args, "--log-level", "error", "--lifespan", "on"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **(_EMBEDDED if embedded else {})},
            pass_fds=[listening.fileno()],
            # Ctrl-C is for us, who still store the replies of calls in flight.
            start_new_session=True,
        )
        port = listening.getsockname()[1]
    name = _ANY.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return Server(f"http://{name}:{port}/api", process, _end_with_us(process.pid))


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
