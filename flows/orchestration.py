"""Prefect's surroundings: settings that must be in the environment before it is imported, and its start.

Importing Prefect and starting its embedded server take 10 to 30 s on a busy machine, so both begin in a
thread while recordings are read, and commands that run no flow do neither.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from tasks.errors import FailedError

_LOOK_EVERY_S = 0.1

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_SHOW_PROMO_NOTIFICATIONS": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # Its first start in a new home runs a few hundred migrations.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def surround(home: Path) -> None:
    """Set what Prefect reads from the environment, never over a value that the user set.

    Args:
        home: our own home; Prefect's lies in it.
    """
    for name, value in {**_QUIET, "PREFECT_HOME": str(home / "prefect")}.items():
        os.environ.setdefault(name, value)


class PrefectError(FailedError):
    """Prefect could not be started or reached."""

    kind = "prefect"


class Start:
    """Prefect being started in a thread that does not keep the program from ending."""

    def __init__(self) -> None:
        self._started: Future[None] = Future()
        self._guard: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._run, name="prefect-start", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether flows can run, or never will."""
        return self._started.done()

    async def ready(self) -> None:
        """Wait until flows can run.

        Raises:
            PrefectError: they never will.
        """
        try:
            while not self._started.done():
                await asyncio.sleep(_LOOK_EVERY_S)
                _check_server_runs()
            self._started.result()
        except Exception as error:
            raise PrefectError(
                f"Prefect could not be started: {type(error).__name__}: {error}",
                "check PREFECT_API_URL if it is set, and the space left for STENOFLOW_HOME",
            ) from error

    def _run(self) -> None:
        try:
            # Kept, so that its pipe stays open as long as this process lives.
            self._guard = asyncio.run(_reach_server())
            self._started.set_result(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, ready() tells of it
            self._started.set_exception(error)


def _check_server_runs() -> None:
    """Raise if the embedded server has ended: Prefect itself would wait for it to the full timeout."""
    loaded = sys.modules.get("prefect.server.api.server")
    # Missing while the module is still being imported, in the other thread.
    servers = getattr(loaded, "SubprocessASGIServer", None)
    process = servers().server_process if servers else None
    # Code 3 is a port that was taken meanwhile; Prefect tries another.
    if process is not None and process.poll() not in {None, 3}:
        raise RuntimeError(f"its server ended with code {process.returncode}")


@cache
def begin_start() -> Start:
    """Begin to start Prefect: once in a process, since two starts at a time break each other."""
    return Start()


async def _reach_server() -> subprocess.Popen[bytes] | None:
    from prefect.client.base import ServerType  # noqa: PLC0415 - takes seconds
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    import flows.transcription  # noqa: F401, PLC0415 - so that it is loaded when the server is up

    async with get_client() as client:
        guard = _end_server_with_us() if client.server_type is ServerType.EPHEMERAL else None
        await client.hello()
    return guard


def _end_server_with_us() -> subprocess.Popen[bytes] | None:
    """See to it that the embedded server ends with this process even if that is killed.

    Prefect ends it at exit only, so each killed run would leave a server of 200 MB behind. A shell reads
    from a pipe that only we hold, and ends the server when the pipe closes.
    """
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415

    server = SubprocessASGIServer().server_process
    if server is None:
        return None
    return subprocess.Popen(
        ["/bin/sh", "-c", f"read -r _; kill {server.pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
