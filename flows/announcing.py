"""What a receiver is told of an outcome: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flows.outcome import Outcome
from storage.database.states import JobState
from storage.errors import BudgetError
from tasks.audio_api import errors
from tasks.cutting import StoppedError
from tasks.money.amounts import show
from tasks.redaction import Redaction
from tasks.webhooks.events import Event, EventType

_BY_STATUS = {
    JobState.COMPLETE: EventType.COMPLETE,
    JobState.PARTIAL: EventType.PARTIAL,
    JobState.FAILED: EventType.FAILED,
    JobState.REFUSED: EventType.REFUSED,
}
_STOPPING = frozenset(
    error.kind
    for error in (
        errors.UnreachableError,
        errors.CertificateError,
        errors.KeyRefusedError,
        errors.ModelNotFoundError,
        errors.WrongAddressError,
        errors.BillingStoppedError,
    )
)
_NOTICE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Announcer:
    """Builds the events of one run.

    Attributes:
        provider: who hears.
        redaction: applied to all that is told.
    """

    run_id: str
    provider: str
    redaction: Redaction

    def of_outcome(self, outcome: Outcome, at: datetime, *, is_stopped: bool) -> Iterator[Event]:
        """Yield what an outcome means: for its recording, for the budget, for the provider.

        Args:
            outcome: of one source. One that the user interrupted means nothing that the user does not know.
            at: now, with its timezone.
            is_stopped: whether nothing more is sent to the provider.
        """
        kind = (outcome.error or {}).get("kind")
        if kind == StoppedError.kind:
            return
        data = _data(outcome)
        yield self._event(_BY_STATUS[JobState(outcome.status)], outcome.job or outcome.source, at, data)
        if kind == BudgetError.kind:
            yield self._event(EventType.BUDGET, "budget", at, _cause(outcome))
        if is_stopped and kind in _STOPPING:
            stopped = {"provider": self.provider, **_cause(outcome)}
            yield self._event(EventType.STOPPED, self.provider, at, stopped)

    def of_model(self, model: str, shutdown: date | None, at: datetime) -> Iterator[Event]:
        """Yield a warning where a model is shut down within 30 days, or was."""
        if shutdown is None or (shutdown - at.date()).days > _NOTICE_DAYS:
            return
        data = {"provider": self.provider, "model": model, "shutdown": shutdown.isoformat()}
        yield self._event(EventType.RETIRING, f"{self.provider}/{model}", at, data)

    def _event(self, kind: EventType, of: str, at: datetime, data: dict[str, Any]) -> Event:
        return Event(kind, self.redaction.clean(of), self.run_id, at, self.redaction.clean(data))


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        **_cause(outcome),
        "status": outcome.status,
        "duration": outcome.duration,
        "segments": outcome.segments,
        "calls": outcome.calls,
        "reused": outcome.reused,
        "cost": None if outcome.cost_micro is None else show(outcome.cost_micro),
        "currency": outcome.currency,
        "missing": outcome.missing,
        "artifacts": outcome.artifacts,
    }


def _cause(outcome: Outcome) -> dict[str, Any]:
    """Name whose outcome it was, and the error."""
    return {
        "job": outcome.job,
        "recording": outcome.recording,
        "source": outcome.source,
        "error": outcome.error,
    }
