"""Prefect's surroundings: settings that must be in the environment before it is imported, and its start.

Importing Prefect and starting its embedded server take 10 to 30 s on a busy machine, so both begin in a
thread while recordings are read, and commands that run no flow do neither.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from stenoflow.flows.prefect_server import Server, start_server
from stenoflow.tasks.errors import FailedError

ADDRESS_FILE = "dashboard.url"
"""In our own home, while `stenoflow serve` runs: where its server answers."""

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_SHOW_PROMO_NOTIFICATIONS": "false",
}


def surround(home: Path) -> None:
    """Set what Prefect reads from the environment, never over a value that the user set.

    Args:
        home: our own home; Prefect's lies in it.
    """
    for name, value in {**_QUIET, "PREFECT_HOME": str(home / "prefect")}.items():
        os.environ.setdefault(name, value)
    served = None if "PREFECT_API_URL" in os.environ else _served_from(home)
    if served is not None:
        os.environ["PREFECT_API_URL"] = served


def _served_from(home: Path) -> str | None:
    """Return where a dashboard is being served from a home: what runs is seen there then."""
    try:
        api_url = (home / ADDRESS_FILE).read_text("utf-8").strip()
    except OSError:
        return None
    return api_url if Server.answers_at(api_url) else None


class PrefectError(FailedError):
    """Prefect could not be started or reached."""

    kind = "prefect"


class Start:
    """Prefect being started in a thread that does not keep the program from ending."""

    def __init__(self) -> None:
        self._started: Future[None] = Future()
        self._server: Server | None = None
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
            # Others may wait for it too.
            await asyncio.shield(asyncio.wrap_future(self._started))
        except Exception as error:
            raise PrefectError(
                f"Prefect could not be started: {type(error).__name__}: {error}",
                "check PREFECT_API_URL if it is set, and the space left for STENOFLOW_HOME",
            ) from error

    def _run(self) -> None:
        try:
            if "PREFECT_API_URL" not in os.environ:
                # Kept, for the server lives as long as this does.
                self._server = start_server()
                os.environ["PREFECT_API_URL"] = self._server.api_url
            # Only now: Prefect reads its settings when it is imported. The server starts meanwhile.
            import stenoflow.flows.transcribe  # noqa: F401, PLC0415 - takes seconds

            if self._server is not None:
                self._server.wait()
            asyncio.run(_reach_server())
            self._started.set_result(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, ready() tells of it
            self._started.set_exception(error)


@cache
def begin_start() -> Start:
    """Begin to start Prefect: once in a process, which has one server."""
    return Start()


async def _reach_server() -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - loaded with the flow

    async with get_client() as client:
        await client.hello()
