"""Prefect where a server is in use: its settings, which it reads when it is imported, and its start.

Importing Prefect takes seconds, so that begins in a thread while recordings are read; and not at all where
there is no server.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.prefect_server import Server
from stenoflow.flows.run import Run
from stenoflow.flows.runner import Runner, Work
from stenoflow.flows.transcribe import transcribe_recording
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob

ADDRESS_FILE = "dashboard.url"
"""In our own home, while `stenoflow serve` runs: where its server answers."""

# With more recordings in one command, each is a task run: a flow run costs the server three times as much.
_MOST_FLOW_RUNS = 8

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


def has_server(home: Path) -> bool:
    """Tell whether a server is in use: one that is named, or that of `stenoflow serve` from this home."""
    surround(home)
    return "PREFECT_API_URL" in os.environ


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
    """Prefect being imported and its server reached, in a thread that does not keep the program alive."""

    def __init__(self) -> None:
        self._started: Future[None] = Future()
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
                f"Prefect's server at {os.environ['PREFECT_API_URL']} cannot be reached: "
                f"{type(error).__name__}: {error}",
                "check PREFECT_API_URL, or leave it away",
            ) from error

    def _run(self) -> None:
        try:
            # Only now: Prefect reads its settings when it is imported.
            import stenoflow.flows.orchestration  # noqa: F401, PLC0415 - takes seconds

            asyncio.run(_reach_server())
            self._started.set_result(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, ready() raises it
            self._started.set_exception(error)


@cache
def begin_start() -> Start:
    """Begin to start Prefect: once in a process."""
    return Start()


async def _reach_server() -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - loaded with the flows

    async with get_client() as client:
        await client.hello()


class Orchestration:
    """How the recordings of a command are transcribed.

    Inside runs of Prefect where somebody sees them: PREFECT_API_URL names a server, or `stenoflow serve`
    runs from this home. Plainly where there is none, or where it cannot be reached, which is said.
    """

    def __init__(self, home: Path, say: Callable[[str], object]) -> None:
        """Begin to reach the server, if there is one.

        Args:
            home: our own.
            say: told that the server cannot be reached.
        """
        self._start = begin_start() if has_server(home) else None
        self._say = say
        self._is_batch = False

    async def __call__(self, run: Run, prepared: PreparedJob) -> None:
        """Transcribe a recording whose job is claimed."""
        if not await self._is_ready():
            await transcribe_recording(run, prepared)
            return
        from stenoflow.flows.orchestration import as_flow_run, as_task_run  # noqa: PLC0415 - imports Prefect

        await (as_task_run if self._is_batch else as_flow_run)(run, prepared)

    async def run_all(self, runner: Runner, works: Sequence[Work]) -> list[Outcome]:
        """Run jobs: a flow run each, or of many, one flow run with a task run each."""
        if len(works) <= _MOST_FLOW_RUNS or not await self._is_ready():
            return await runner.run_all(works)
        from stenoflow.flows.orchestration import in_batch_run  # noqa: PLC0415 - imports Prefect

        self._is_batch = True
        outcomes: list[Outcome] = await in_batch_run(
            runner.context.run_id, len(works), lambda: runner.run_all(works)
        )
        return outcomes

    async def _is_ready(self) -> bool:
        if self._start is None:
            return False
        try:
            await self._start.ready()
        except PrefectError as error:
            self._start = None
            self._say(f"{error}; going on without Prefect")
        return self._start is not None
