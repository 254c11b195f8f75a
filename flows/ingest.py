"""A drop folder: each complete recording is transcribed once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from stenoflow.flows.outcome import Outcome
from stenoflow.flows.runner import Runner
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.errors import RefusedError, SourceOutOfReachError
from stenoflow.tasks.jobs.transcribe.prepare import refuse_unread
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, ScannedRecording
from stenoflow.tasks.sources.inbox import Inbox
from stenoflow.tasks.sources.inbox.entry import Entry
from stenoflow.tasks.sources.inbox.queue import Announcement

if TYPE_CHECKING:
    from stenoflow.tasks.sources.inbox.queue import EventQueue


_log = logging.getLogger(__name__)
_ENDED = {JobState.COMPLETE, JobState.REFUSED}


@dataclass(slots=True)
class Taking:
    """Takes recordings of an inbox for a runner, and records what becomes of them.

    Attributes:
        runner: once that can make no more calls, what is not complete is left for later.
        formats: which artifacts outcomes name.
        rejects: refused recordings are moved to ``rejected`` beside the inbox.
        say: told what people should know.
        is_cancelled: tells whether it was stopped for good, so that nothing of it is to be taken again.
    """

    reception: InboxScanner
    runner: Runner
    formats: Sequence[str]
    rejects: bool
    say: Callable[[str], None]
    is_cancelled: Callable[[], Awaitable[bool]] | None = None

    async def take(self, arrived: ScannedRecording) -> TranscribeWork | None:
        """Return the work on a recording; None if somebody else has it, or had it."""
        source = arrived.entry.source
        if source.uri in self.reception.in_hand:
            return None
        if not await run_blocking(self.runner.context.arrivals.take, source.uri, arrived.mark):
            return None
        self.reception.in_hand.add(source.uri)
        return TranscribeWork(
            source, arrived.wish, self.formats, refused=arrived.refused, ended=partial(self._told, arrived)
        )

    async def _told(self, arrived: ScannedRecording, outcome: Outcome) -> Outcome:
        """Record what became of a recording; returns the outcome, with its job."""
        context, source = self.runner.context, arrived.entry.source
        self.reception.in_hand.discard(source.uri)
        kind, message = (outcome.error or {}).get("kind"), (outcome.error or {}).get("message")
        is_ended = outcome.status in _ENDED or not self.runner.is_cut_off
        if not is_ended and self.is_cancelled is not None:
            is_ended = await self.is_cancelled()
        if kind == SourceOutOfReachError.kind or not is_ended:
            await run_blocking(context.arrivals.let_go, [arrived.id])
            return outcome
        if outcome.job is None:
            why = RefusedError(message or "")
            job = await run_blocking(refuse_unread, context, source, arrived.wish, why, kind)
            outcome = replace(outcome, job=job)
        await run_blocking(context.arrivals.end, arrived.id, outcome.status, outcome.job, message)
        if outcome.status == JobState.REFUSED and self.rejects:
            await reject(self.reception.inbox, arrived.entry, message or "", self.say)
        return outcome


async def reject(inbox: Inbox, entry: Entry, reason: str, say: Callable[[str], None]) -> None:
    """Move a recording out of the way, and say so."""
    try:
        place = await run_blocking(inbox.reject, entry, reason)
    except (StenoflowError, OSError) as error:
        say(f"{entry.path} could not be moved to rejected: {error}")
    else:
        say(f"{entry.path} was moved to {place}")


async def see_to(reception: InboxScanner, say: Callable[[str], None], *, rejects: bool) -> None:
    """Say what a look found besides recordings, and move what was refused before and left where it was."""
    while reception.unheard:
        say(reception.unheard.pop(0))
    refused, reception.refused_before = reception.refused_before, []
    for entry, reason in refused if rejects else []:
        await reject(reception.inbox, entry, reason, say)


@dataclass(slots=True)
class Ingest:
    """A drop folder being emptied by a runner; belongs to one event loop.

    Attributes:
        taking: takes what arrives.
        interval_s: between two looks.
        watch: go on looking until `stop`.
        queue: of events on the inbox; None: there is none.
        say: told what people should know.
    """

    taking: Taking
    interval_s: float
    watch: bool
    queue: EventQueue | None
    say: Callable[[str], None]
    _announced: asyncio.Queue[Announcement | None] = field(default_factory=asyncio.Queue)
    _stopped: bool = False

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped = True
        self._announced.put_nowait(None)

    async def works(self) -> AsyncIterator[TranscribeWork]:
        """Yield the work on each recording that is new and complete, the more urgent of a look first.

        Raises:
            RefusedError: the inbox cannot be looked into. While watching, it is tried again.
        """
        if self.queue is not None:
            self._listen(self.queue)
        reception, looks = self.taking.reception, 0
        while not self._is_over():
            async for order in self._taken(await self._look()):
                yield order
            looks += 1
            if not self.watch and (looks >= reception.settling.looks or not reception.growing):
                break
            async for order in self._until_the_next_look():
                yield order
        if reception.growing and not self.watch:
            self.say(f"not complete yet, left for the next time: {', '.join(reception.growing)}")

    def _is_over(self) -> bool:
        return self._stopped or self.taking.runner.is_cut_off

    async def _look(self) -> list[ScannedRecording]:
        try:
            arrived = await run_blocking(self.taking.reception.look)
        except RefusedError as error:
            if not self.watch:
                raise
            self.say(f"{error}; looking again in {self.interval_s:g} s")
            return []
        await see_to(self.taking.reception, self.say, rejects=self.taking.rejects)
        return arrived

    async def _taken(self, arrived: Sequence[ScannedRecording]) -> AsyncIterator[TranscribeWork]:
        for each in arrived:
            order = None if self._is_over() else await self.taking.take(each)
            if order is not None:
                yield order

    async def _until_the_next_look(self) -> AsyncIterator[TranscribeWork]:
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
            arrived = await run_blocking(self.taking.reception.announced, announcement.entries)
            async for order in self._taken(arrived):
                yield order
            await run_blocking(announcement.acknowledge)

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
