"""Orchestration of a command's recordings: plainly, or inside runs of Prefect's where somebody sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.prefect_server import PrefectError, begin_start, has_server
from stenoflow.flows.run import RecordingStep, Run, without_prefect
from stenoflow.flows.runner import Runner, Work
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob

T = TypeVar("T")

# With more recordings in one command, each is a task run: a flow run costs the server three times as much.
_MOST_FLOW_RUNS = 8


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

    async def __call__(self, run: Run, prepared: PreparedJob, transcribe: RecordingStep) -> None:
        """Transcribe a recording whose job is claimed, by its step."""
        if not await self._is_ready():
            await without_prefect(run, prepared, transcribe)
            return
        from stenoflow.flows.prefect_runs import as_flow_run, as_task_run  # noqa: PLC0415 - imports Prefect

        await (as_task_run if self._is_batch else as_flow_run)(run, prepared, transcribe)

    async def run_all(self, runner: Runner, works: Sequence[Work]) -> list[Outcome]:
        """Run jobs; returns their outcomes in order."""
        return await self.run(runner.context.run_id, len(works), lambda: runner.run_all(works))

    async def run(self, key: str, recordings: int, work: Callable[[], Awaitable[T]]) -> T:
        """Do work on some recordings: in a flow run each, or of many, in one flow run with a task run each.

        Args:
            key: what tells the work from any other.
            recordings: how many there are, as far as is known.
            work: the work.
        """
        if recordings <= _MOST_FLOW_RUNS or not await self._is_ready():
            return await work()
        from stenoflow.flows.prefect_runs import in_batch_run  # noqa: PLC0415 - imports Prefect

        self._is_batch = True
        done: T = await in_batch_run(key, recordings, work)
        return done

    async def _is_ready(self) -> bool:
        if self._start is None:
            return False
        try:
            await self._start.ready()
        except PrefectError as error:
            self._start = None
            self._say(f"{error}; going on without Prefect")
        return self._start is not None
