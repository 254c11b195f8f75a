"""Who watches a batch that no terminal shows: lines in the log."""

from __future__ import annotations

import logging

from flows.outcome import Outcome
from tasks.sources import Source
from tasks.speech.timecode import clock

_log = logging.getLogger(__name__)


class LogWatcher:
    """Writes what happens to the log, where Prefect finds it."""

    def taken(self, source: Source, job_id: str, duration_ms: int) -> None:
        """Tell of a job."""
        _log.info("%s: job %s, %s", source.name, job_id, clock(duration_ms))

    def waiting(self, what: str | None) -> None:
        """Tell what is waited for."""
        if what is not None:
            _log.info("%s", what)

    def ended(self, outcome: Outcome) -> None:
        """Tell of an end."""
        _log.info("%s", outcome.to_json())

    def stopping(self, calls: int, grace_s: float) -> None:
        """Tell that it ends."""
        _log.info("stopping: up to %.0f s for %d calls in flight", grace_s, calls)
