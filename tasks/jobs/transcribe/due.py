"""`due`: how fast providers are, what an inbox has yet to be transcribed, and the cheapest that makes it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import PurePosixPath
from typing import Self

from stenoflow.storage.database.arrivals import arrival_id
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.tasks.api.providers import EMBEDDED
from stenoflow.tasks.calls.failover import Candidate, patience_s
from stenoflow.tasks.calls.provider import find_provider
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
from stenoflow.tasks.sources.inbox import open_inbox

_log = logging.getLogger(__name__)
_HOUR_MS = 3_600_000
# Where nothing was measured yet, for one call: an API's, and of all of them the embedded engine's.
_API_SPEED, _ENGINE_SPEED = 8.0, 1.0
_HOLDS_S = 20.0
# What is measured of the past holds for the time to come about as well as that.
_MARGIN = 0.8


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


@dataclass(frozen=True, slots=True)
class Way:
    """A way to have sound transcribed.

    Attributes:
        name: whose it is.
        hour_micro: what an hour of sound costs, in micro-units of one currency; None: unknown.
        speed: how much sound it takes in a time, all its calls together, as a multiple of that time.
    """

    name: str
    hour_micro: int | None
    speed: float


def in_time(ways: Sequence[Way], left_ms: int, until_due_ms: int) -> list[Way]:
    """Return ways in the order in which they are to be asked.

    First those that make it, the cheapest before the others (an unknown price counts as the highest), then
    those that are too slow, the fastest first. Of equals, the one that was named first.

    Args:
        ways: as they were named.
        left_ms: how much sound is yet to be transcribed.
        until_due_ms: how long it is until that is due; 0 or less: it is late.
    """
    usable_ms = max(0.0, until_due_ms * _MARGIN)

    def rank(way: Way) -> tuple[int, float]:
        if way.speed > 0 and left_ms / way.speed <= usable_ms:
            return 0, float("inf") if way.hour_micro is None else way.hour_micro
        return 1, -way.speed

    return sorted(ways, key=rank)


def first_due(due: clock_time, begun: datetime) -> datetime:
    """Return when work is due that was begun at a moment: at the next such time of day, in its time zone."""
    at = begun.replace(hour=due.hour, minute=due.minute, second=0, microsecond=0)
    # By the clock on the wall, over a change of it, too.
    return at if at > begun else at + timedelta(days=1)


# Bytes of a second where none of the kind was transcribed yet: rather too few, so that a file counts as long.
_USUAL, _BARE, _PACKED, _VIDEO = 8_000.0, 32_000.0, 16_000.0, 60_000.0
_RATES: Mapping[str, float] = {
    **dict.fromkeys((".wav", ".wave", ".aif", ".aiff", ".bwf", ".caf", ".rf64", ".w64"), _BARE),
    **dict.fromkeys((".flac", ".wv", ".tak", ".tta"), _PACKED),
    **dict.fromkeys(
        (".mp4", ".m4v", ".mkv", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv"), _VIDEO
    ),
}


def left_ms(context: AppContext, prefix: str) -> int:
    """Tell how much sound of an inbox has no answer; blocks.

    What waits there unopened counts by its size, and by how large recordings of its kind were before.

    Args:
        context: the tools.
        prefix: how the addresses in the inbox begin.
    """
    opened = context.reports.unfinished(prefix)
    waiting = _waiting(context, prefix, opened)
    if not waiting:
        return sum(opened.values())
    known = context.reports.newest_sizes()
    return sum(opened.values()) + sum(_length_ms(source, size, known) for source, size in waiting)


def _waiting(context: AppContext, prefix: str, opened: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the address and size of each recording that lies in an inbox and was not taken."""
    try:
        look = open_inbox(prefix, context.s3).look()
    except RefusedError as error:
        _log.info("what waits in %s is not counted: %s", prefix, error)
        return []
    ids = {arrival_id(each.source.uri, each.mark): each.source for each in look.entries}
    ended = context.arrivals.ended(list(ids))
    return [
        (source.uri, source.size)
        for id_, source in ids.items()
        if id_ not in ended and source.uri not in opened
    ]


def _length_ms(source: str, size: int, known: Sequence[tuple[str, int, int]]) -> int:
    """Tell about how long a recording is.

    Args:
        source: its address.
        size: in bytes.
        known: address, bytes and ms of others.
    """
    kind = _kind(source)
    alike = [(bytes_, ms) for address, bytes_, ms in known if _kind(address) == kind]
    if alike:
        return round(size * sum(ms for _, ms in alike) / sum(bytes_ for bytes_, _ in alike))
    return round(size * 1_000 / _RATES.get(kind, _USUAL))


def _kind(source: str) -> str:
    return PurePosixPath(source).suffix.lower()
