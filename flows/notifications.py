"""Webhooks of a run: which events its outcomes are, and their delivery; it never delays or fails a job."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from stenoflow.flows.outcome import Outcome, TranscriptDetails
from stenoflow.flows.run import Run
from stenoflow.storage.database.rows import utc_now
from stenoflow.storage.database.states import JobState
from stenoflow.storage.errors import BudgetError, StenoflowError
from stenoflow.tasks.api import errors
from stenoflow.tasks.api.error_body import Redaction
from stenoflow.tasks.api.model_table import NOTICE_DAYS, ModelKind, UsedModel, today
from stenoflow.tasks.api.providers import EMBEDDED
from stenoflow.tasks.calls.offers import told_last_day
from stenoflow.tasks.calls.provider import asked_for, provider_name
from stenoflow.tasks.errors import StoppedError
from stenoflow.tasks.operations.webhooks import DeliveryQueue, Event, EventType, open_sender
from stenoflow.tasks.settings import Settings
from stenoflow.tasks.sources.file_names import shown

_log = logging.getLogger(__name__)
# What the end of a run waits for events that the receiver has not taken.
_TIMEOUT_S = 10.0


class Notifications:
    """Announces what happens in one run; belongs to its event loop. Without a receiver only ``say`` is told.

    Args:
        run: the run.
        deliveries: what goes to the receiver; None: there is none.
        say: told what people are to know at once.
    """

    def __init__(
        self, run: Run, say: Callable[[str], object], deliveries: DeliveryQueue | None = None
    ) -> None:
        settings = run.context.settings
        self._run = run
        self._deliveries = deliveries
        self._events = EventFactory(run.context.run_id, provider_name(settings), _redaction(settings))
        self._say = say
        self._watched: set[UsedModel] = set()
        self._checks: list[asyncio.Task[None]] = []

    def watch(self, models: Iterable[UsedModel]) -> None:
        """Warn of each model, once a run, whose end is near or past."""
        for model in models:
            if model in self._watched:
                continue
            self._watched.add(model)
            told = told_last_day(self._run.context.settings, model)
            remark = self._run.context.listing(model).remark(model.provider, today(), told)
            if remark is not None:
                self._say(f"Warning: {remark}")
            if self._deliveries is not None:
                self._checks.append(asyncio.create_task(self._check(model, self._deliveries)))

    def tell(self, outcome: Outcome) -> None:
        """Announce the outcome of a transcription."""
        if self._deliveries is None or not isinstance(outcome.details, TranscriptDetails):
            return
        is_stopped = self._run.caller.limiter.is_stopped
        for event in self._events.of_outcome(outcome, utc_now(), is_stopped=is_stopped):
            self._deliveries.take(event)

    async def close(self) -> None:
        """Wait for what is under way, for 10 s at most."""
        if self._deliveries is None:
            return
        ends_at = asyncio.get_running_loop().time() + _TIMEOUT_S
        if self._checks:
            await asyncio.wait(self._checks, timeout=_TIMEOUT_S)
        for check in self._checks:
            check.cancel()
        await self._deliveries.close(max(0.0, ends_at - asyncio.get_running_loop().time()))

    async def _check(self, model: UsedModel, deliveries: DeliveryQueue) -> None:
        successor = self._run.context.listing(model).successor
        for event in self._events.of_model(model, await self._shutdown(model), utc_now(), successor):
            deliveries.take(event)

    async def _shutdown(self, model: UsedModel) -> date | None:
        """Return a model's last day: the server's word, else that of the table of models."""
        known = self._run.context.listing(model).last_day(model.provider)
        if model.provider == EMBEDDED:
            return known
        try:
            route = await self._run.caller.route(model.provider, model.kind)
            listed = await route.api.models()
        except StenoflowError as error:
            _log.info("no list of models: %s", error.kind)
            return known
        return next((each.shutdown for each in listed if each.name == model.name and each.shutdown), known)


@asynccontextmanager
async def open_notifications(
    run: Run, say: Callable[[str], object] | None = None
) -> AsyncIterator[Notifications]:
    """Open what tells of a run.

    Args:
        run: the run.
        say: told what was not delivered, and which models end; by default stderr is.
    """
    endpoint = run.context.settings.webhook
    say = say or _to_stderr
    if endpoint is None:
        yield Notifications(run, say)
        return
    async with open_sender(endpoint) as sender:
        notifier = Notifications(run, say, DeliveryQueue(sender.send, say))
        try:
            yield notifier
        finally:
            await notifier.close()


def _redaction(settings: Settings) -> Redaction:
    keys = [key.get_secret_value() for key in (settings.openai_api_key, settings.webhook_secret) if key]
    others = [asked_for(settings, kind).key for kind in ModelKind]
    return Redaction([*keys, *others, settings.webhook_url])


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{shown(text)}\n")


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


@dataclass(frozen=True, slots=True)
class EventFactory:
    """Builds the events of one run.

    Attributes:
        provider: the provider.
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

    def of_model(
        self, model: UsedModel, shutdown: date | None, at: datetime, successor: str | None = None
    ) -> Iterator[Event]:
        """Yield a warning where a model is shut down within `NOTICE_DAYS`, or was."""
        if shutdown is None or (shutdown - at.date()).days > NOTICE_DAYS:
            return
        data = {
            "provider": model.provider,
            "model": model.name,
            "kind": model.kind.value,
            "shutdown": shutdown.isoformat(),
            "successor": successor,
        }
        yield self._event(EventType.RETIRING, f"{model.provider}/{model.name}", at, data)

    def _event(self, kind: EventType, of: str, at: datetime, data: dict[str, Any]) -> Event:
        return Event(kind, self.redaction.clean(of), self.run_id, at, self.redaction.clean(data))


def _data(outcome: Outcome) -> dict[str, Any]:
    details = outcome.details if isinstance(outcome.details, TranscriptDetails) else TranscriptDetails()
    return {
        **_cause(outcome),
        "status": outcome.status,
        "duration": details.duration,
        "segments": outcome.segments,
        "calls": outcome.calls,
        "reused": outcome.reused,
        "cost": outcome.cost,
        "currency": outcome.currency,
        "missing": details.missing,
        **({"suspect": details.suspect} if details.suspect else {}),
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
