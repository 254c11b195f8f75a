"""How fast providers are, and who is asked first where an inbox has `due`: the cheapest that makes it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.tasks.api.providers import EMBEDDED
from stenoflow.tasks.billing.deadlines import Way, first_due, in_time
from stenoflow.tasks.calls.failover import Candidate, patience_s
from stenoflow.tasks.calls.provider import find_provider
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
from stenoflow.tasks.jobs.transcribe.waiting import left_ms

_HOUR_MS = 3_600_000
# Where nothing was measured yet, for one call: an API's, and of all of them the embedded engine's.
_API_SPEED, _ENGINE_SPEED = 8.0, 1.0
_HOLDS_S = 20.0


@dataclass(slots=True)
class Speeds:
    """How fast models transcribe, by the newest calls of all jobs; belongs to one event loop."""

    context: AppContext
    _measured: Mapping[tuple[str, str], float] = field(default_factory=dict)
    _measured_at: float = float("-inf")

    async def measured(self) -> Mapping[tuple[str, str], float]:
        """Return the speed of one call by provider and model, as of some seconds ago at most."""
        if time.monotonic() - self._measured_at > _HOLDS_S:
            self._measured = await run_blocking(self.context.reports.speeds)
            self._measured_at = time.monotonic()
        return self._measured

    async def patience_s(self, asked: Candidate, sound_ms: int, due_at: datetime | None) -> float | None:
        """Return how long an answer of a provider is waited for where others can be asked.

        Returns:
            None where it is waited for as long as the client does: the embedded engine is at work for sure.
        """
        if asked.provider == EMBEDDED:
            return None
        speed = (await self.measured()).get((asked.provider, asked.model), _API_SPEED)
        until_s = None if due_at is None else (due_at - datetime.now(UTC)).total_seconds()
        provider = find_provider(self.context.settings, asked.provider).provider
        return provider.deadline_s or patience_s(sound_ms, speed, until_s)


@dataclass(slots=True)
class DueOrder:
    """Orders the providers of one job; belongs to one event loop.

    Attributes:
        speeds: of all providers.
        prefix: how the addresses of what is in the inbox begin.
        due_at: when the job is due.
        concurrency: calls at once at most.
    """

    context: AppContext
    speeds: Speeds
    prefix: str
    due_at: datetime
    concurrency: int
    _order: list[Candidate] = field(default_factory=list)
    _worked_out_at: float = float("-inf")

    @classmethod
    def of(cls, context: AppContext, prepared: PreparedJob, speeds: Speeds) -> Self | None:
        """Return the order for a job; None where its inbox says no time, or one provider alone is asked."""
        source, settings = prepared.recording.source, context.settings
        inbox = next((each for each in settings.inboxes if source.startswith(each.prefix)), None)
        if inbox is None or inbox.due is None or not prepared.settings.others:
            return None
        due_at = first_due(inbox.due, prepared.job.created_at.astimezone())
        return cls(context, speeds, inbox.prefix, due_at, settings.concurrency)

    async def ordered(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return who is asked, in order, as things stand."""
        if time.monotonic() - self._worked_out_at > _HOLDS_S:
            measured = await self.speeds.measured()
            ways = [self._way(each, measured.get((each.provider, each.model))) for each in candidates]
            unanswered_ms = await run_blocking(left_ms, self.context, self.prefix)
            until_ms = round((self.due_at - datetime.now(UTC)).total_seconds() * 1_000)
            self._order = [Candidate.read(way.name) for way in in_time(ways, unanswered_ms, until_ms)]
            self._worked_out_at = time.monotonic()
        return self._order

    def _way(self, candidate: Candidate, measured: float | None) -> Way:
        price = self.context.prices.find(candidate.provider, candidate.model)
        hour_micro = price.charge(_HOUR_MS) if price else None
        if candidate.provider == EMBEDDED:
            # Its calls share the processor, so that one of them says what all of them do by turns.
            at_once = min(self.concurrency, os.cpu_count() or 1)
            return Way(str(candidate), hour_micro, _ENGINE_SPEED if measured is None else measured * at_once)
        speed = _API_SPEED if measured is None else measured
        return Way(str(candidate), hour_micro, speed * self.concurrency)
