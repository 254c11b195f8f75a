"""Taking what comes into a drop folder: each complete recording once, as an order of a batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flows.batch import Batch, Order
from flows.outcome import Outcome
from storage.database.arrivals import arrival_id
from storage.database.states import JobState
from storage.errors import StenoflowError
from tasks.errors import RefusedError, SourceOutOfReachError
from tasks.hearing import Wanted, job_settings
from tasks.inbox.announcements import Announcement
from tasks.inbox.entry import Entry
from tasks.inbox.opening import Inbox
from tasks.inbox.options import Options, OptionsError, Priority, options_of
from tasks.inbox.settling import Settling
from tasks.intake import Wish, refuse_unread
from tasks.money.amounts import to_micro
from tasks.settling import settle
from tasks.workshop import Workshop

if TYPE_CHECKING:
    from tasks.inbox.queue import EventQueue

_log = logging.getLogger(__name__)
_RANKS = {priority.value: rank for rank, priority in enumerate(Priority)}
_ENDED = {JobState.COMPLETE, JobState.REFUSED}


@dataclass(slots=True)
class Ingest:
    """A drop folder being emptied into a batch; belongs to one event loop.

    Attributes:
        given: options that the command says of all recordings.
        settling: tells what is complete.
        interval_s: between two looks.
        watch: go on looking until `stop`.
        rejects: refused recordings are moved to ``rejected`` beside the inbox.
        queue: of events on the inbox; None: there is none.
        batch: what it is emptied into; once that can make no more calls, the rest is left for later.
        say: told what people should know.
    """

    workshop: Workshop
    inbox: Inbox
    given: Mapping[str, Any]
    settling: Settling
    interval_s: float
    watch: bool
    rejects: bool
    queue: EventQueue | None
    batch: Batch
    say: Callable[[str], None]
    _announced: asyncio.Queue[Announcement | None] = field(default_factory=asyncio.Queue)
    _stopped: bool = False
    _in_hand: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _growing: list[str] = field(default_factory=list)

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped = True
        self._announced.put_nowait(None)

    async def orders(self) -> AsyncIterator[Order]:
        """Yield an order for each recording that is new and complete, the more urgent of a look first.

        Raises:
            RefusedError: the inbox cannot be looked into. While watching, it is tried again.
        """
        if self.queue is not None:
            self._listen(self.queue)
        looks = 0
        while not self._is_over():
            for order in await self._arrived():
                if not self._is_over() and await self._take(order):
                    yield order
            looks += 1
            if not self.watch and (looks >= self.settling.looks or not self._growing):
                break
            async for order in self._until_the_next_look():
                yield order
        if self._growing and not self.watch:
            self.say(f"not complete yet, left for the next time: {', '.join(self._growing)}")

    def _is_over(self) -> bool:
        return self._stopped or self.batch.is_cut_off

    async def _arrived(self) -> list[Order]:
        """Look into the inbox."""
        try:
            look = await settle(self.inbox.look)
        except RefusedError as error:
            if not self.watch:
                raise
            self.say(f"{error}; looking again in {self.interval_s:g} s")
            return []
        complete = self.settling.complete(look)
        new = await self._new(look.entries)
        self._growing = [entry.path for entry in new if entry not in complete]
        self._ended &= {_id(entry) for entry in look.entries}
        orders = [await settle(self._order, entry) for entry in new if entry in complete]
        return sorted(orders, key=lambda order: _RANKS[order.priority])

    async def _new(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return what has not been taken in before, and is not being so now."""
        unsure = [entry for entry in entries if entry.source.uri not in self._in_hand]
        unsure = [entry for entry in unsure if _id(entry) not in self._ended]
        self._ended |= await settle(self.workshop.arrivals.ended, [_id(entry) for entry in unsure])
        return [entry for entry in unsure if _id(entry) not in self._ended]

    async def _until_the_next_look(self) -> AsyncIterator[Order]:
        """Yield what is announced meanwhile."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.interval_s
        while (left_s := ends_at - loop.time()) > 0 and not self._is_over():
            try:
                announcement = await asyncio.wait_for(self._announced.get(), left_s)
            except TimeoutError:
                return
            if announcement is None:
                return
            for entry in await self._new(announcement.entries):
                order = await settle(self._order, entry)
                if await self._take(order):
                    yield order
            await settle(announcement.acknowledge)

    def _listen(self, queue: EventQueue) -> None:
        """Hear what the queue announces, in a thread: waiting for messages cannot be broken off."""
        loop = asyncio.get_running_loop()

        def listen() -> None:
            while not self._stopped:
                try:
                    for announcement in queue.receive():
                        loop.call_soon_threadsafe(self._announced.put_nowait, announcement)
                except SourceOutOfReachError as error:
                    # The looks into the inbox make up for it.
                    _log.warning("%s", error)
                    time.sleep(self.interval_s)
                except RuntimeError:  # the loop is closed
                    return

        threading.Thread(target=listen, name="queue", daemon=True).start()

    def _order(self, entry: Entry) -> Order:
        refused = None
        try:
            options = options_of(entry.path, self.inbox.read, self.given)
            wish = wish_of(self.workshop, options)
        except StenoflowError as error:
            refused = error if isinstance(error, RefusedError) else OptionsError(error.message, error.hint)
            options, wish = Options(), wish_of(self.workshop, Options())
        told = partial(self._told, entry, wish)
        return Order(
            entry.source, wish, told=told, refused=refused, priority=options.priority, mark=entry.mark
        )

    async def _take(self, order: Order) -> bool:
        uri = order.source.uri
        if uri in self._in_hand or not await settle(self.workshop.arrivals.take, uri, order.mark):
            return False
        self._in_hand.add(uri)
        return True

    async def _told(self, entry: Entry, wish: Wish, outcome: Outcome) -> Outcome:
        """Record what became of a recording; returns the outcome, with its job."""
        self._in_hand.discard(entry.source.uri)
        kind, message = (outcome.error or {}).get("kind"), (outcome.error or {}).get("message")
        is_ended = outcome.status in _ENDED or not self._is_over()
        if kind == SourceOutOfReachError.kind or not is_ended:
            await settle(self.workshop.arrivals.let_go, [_id(entry)])
            return outcome
        if outcome.job is None:
            why = RefusedError(message or "")
            job = await settle(refuse_unread, self.workshop, entry.source, wish, why, kind)
            outcome = replace(outcome, job=job)
        await settle(self.workshop.arrivals.end, _id(entry), outcome.status, outcome.job, message)
        if outcome.status == JobState.REFUSED and self.rejects:
            await self._reject(entry, message or "")
        return outcome

    async def _reject(self, entry: Entry, reason: str) -> None:
        try:
            place = await settle(self.inbox.reject, entry, reason)
        except (StenoflowError, OSError) as error:
            self.say(f"{entry.path} could not be moved to rejected: {error}")
        else:
            self.say(f"{entry.path} was moved to {place}")


def wish_of(workshop: Workshop, options: Options) -> Wish:
    """Return what is asked of a job. Raises SettingsError for what nobody can do."""
    wanted = Wanted(
        options.model,
        language=options.language,
        segment_seconds=options.segment_seconds,
        stream=options.stream,
    )
    budget_micro = None if options.budget is None else to_micro(options.budget)
    return Wish(job_settings(workshop.settings, workshop.models, wanted), options.tag, budget_micro)


def _id(entry: Entry) -> str:
    return arrival_id(entry.source.uri, entry.mark)
