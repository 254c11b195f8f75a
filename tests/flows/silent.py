"""Jobs run by a runner of the test's own, which nobody watches."""

from __future__ import annotations

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.run import without_prefect
from stenoflow.flows.runner import Runner
from stenoflow.tasks.context import AppContext


class Silent:
    """Nobody watches."""

    def opened(self, name: str, job_id: str, duration_ms: int, unit: str) -> None:
        """A job is open."""

    def waiting(self, what: str | None) -> None:
        """The jobs wait."""

    def ended(self, outcome: Outcome) -> None:
        """A job has ended."""

    def stopping(self, calls: int, grace_s: float) -> None:
        """The user asked to stop."""


def silent_runner(context: AppContext, concurrency: int) -> Runner:
    return Runner(context, concurrency, Silent(), without_prefect)
