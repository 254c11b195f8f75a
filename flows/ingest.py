"""A drop folder: each complete recording is transcribed once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from stenoflow.flows.outcome import Outcome, TranscriptDetails
from stenoflow.flows.runner import Runner
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.arrivals import EndedArrival
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.errors import StenoflowError, lies_in_recording
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError, SourceOutOfReachError
from stenoflow.tasks.jobs.transcribe.prepare import refuse_unread
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, ScannedRecording
from stenoflow.tasks.sources.file_names import display_name, shown
from stenoflow.tasks.sources.inbox import Inbox
from stenoflow.tasks.sources.inbox.entry import Entry
from stenoflow.tasks.sources.inbox.queue import Announcement

if TYPE_CHECKING:
    from stenoflow.tasks.sources.inbox.queue import EventQueue


# Of one processor, for looks into an inbox in which nothing changes.
_LOOKS_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Moves:
    """Where recordings go that have come to their end.

    Attributes:
        say: told what people should know.
        rejects: those that can never be taken are moved to ``rejected`` beside the inbox.
        done_to: where complete ones are moved to; None: they stay.
    """

    say: Callable[[str], None]
    rejects: bool = False
    done_to: str | None = None


@dataclass(slots=True)
class Claims:
    """Claim recordings of an inbox for a runner, and record what becomes of them.

    Attributes:
        runner: once that can make no more calls, what is not complete is left for later.
        formats: which artifacts outcomes name.
        moves: where recordings go then.
        is_cancelled: tells whether it was stopped for good, so that nothing of it is to be taken again.
    """

    scanner: InboxScanner
    runner: Runner
    formats: Sequence[str]
    moves: Moves
    is_cancelled: Callable[[], Awaitable[bool]] | None = None

    async def claim(self, scanned: ScannedRecording) -> TranscribeWork | None:
        """Return the work on a recording; None if somebody else has it, or had it."""
        source = scanned.entry.source
        if source.uri in self.scanner.in_hand:
            return None
        arrivals = self.runner.context.arrivals
        told = await run_blocking(arrivals.last_reason, scanned.id)
        if not await run_blocking(arrivals.take, source.uri, scanned.mark):
            return None
        self.scanner.in_hand.add(source.uri)
        return TranscribeWork(
            source,
            scanned.request,
            self.formats,
            refused=scanned.refused,
            ended=partial(self._record, scanned),
            told=told,
        )

    async def waiting(
        self, batch: str, is_over: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[TranscribeWork]:
        """Yield the work on recordings that wait in the database, in their order, until none does.

        Args:
            batch: the key under which they wait.
            is_over: asked before each but the first: take no more.
        """
        arrivals, had = self.runner.context.arrivals, set[str]()
        while not self.runner.is_cut_off and not (had and await is_over()):
            taken = await run_blocking(arrivals.take_next, batch, had)
            if taken is None:
                return
            id_, address = taken
            had.add(id_)
            try:
                entry = await run_blocking(self.scanner.inbox.find, address)
                scanned = None if entry is None else await run_blocking(self.scanner.describe, entry)
            except StenoflowError as error:
                await run_blocking(arrivals.let_go, id_, str(error))
                self.moves.say(f"{display_name(address)} could not be taken: {error}")
                continue
            if scanned is None or scanned.id != id_:
                # It is gone, or another content or other options are there by now.
                await run_blocking(arrivals.drop, id_)
            work = None if scanned is None else await self.claim(scanned)
            if work is not None:
                yield work

    async def _record(self, scanned: ScannedRecording, outcome: Outcome) -> Outcome:
        """Record what became of a recording; returns the outcome, with its job."""
        context, source = self.runner.context, scanned.entry.source
        self.scanner.in_hand.discard(source.uri)
        message = (outcome.error or {}).get("message")
        is_ended = outcome.status == JobState.COMPLETE or not self.runner.is_cut_off
        if not is_ended and (self.is_cancelled is None or not await self.is_cancelled()):
            await run_blocking(context.arrivals.let_go, scanned.id, message, outcome.job)
            return outcome
        if outcome.job is None:
            job = await run_blocking(
                refuse_unread, context, source, scanned.request, outcome.status, outcome.error or {}
            )
            outcome = replace(outcome, job=job)
        else:
            await run_blocking(context.catalog.drop_unread, source.uri)
        if await run_blocking(may_succeed_later, context, outcome):
            await run_blocking(context.arrivals.put_off, scanned.id, message, outcome.job)
            return outcome
        await run_blocking(context.arrivals.end, scanned.id, outcome.status, outcome.job, message)
        await move_ended(
            self.scanner.inbox, scanned.entry, EndedArrival(outcome.status, message or ""), self.moves
        )
        return outcome


def may_succeed_later(context: AppContext, outcome: Outcome) -> bool:
    """Tell whether something that a recording lacks failed for a reason outside it; blocks."""
    if outcome.status != JobState.COMPLETE:
        segments = [] if outcome.job is None else context.catalog.segments(outcome.job)
        failed = {each.error_kind for each in segments if each.state == SegmentState.FAILED}
        kinds = failed or {(outcome.error or {}).get("kind")}
        if not all(map(lies_in_recording, kinds)):
            return True
    minutes = outcome.details.minutes if isinstance(outcome.details, TranscriptDetails) else None
    return minutes is not None and minutes.status != JobState.COMPLETE and may_succeed_later(context, minutes)


async def move_ended(inbox: Inbox, entry: Entry, ended: EndedArrival, moves: Moves) -> None:
    """Move a recording that has come to its end to where it is to go, if anywhere, and say so."""
    try:
        if ended.status == JobState.REFUSED and moves.rejects:
            place = await run_blocking(inbox.reject, entry, ended.reason)
        elif ended.status == JobState.COMPLETE and moves.done_to is not None:
            place = await run_blocking(inbox.put_away, entry, moves.done_to)
        else:
            return
    except (StenoflowError, OSError) as error:
        moves.say(f"{shown(entry.path)} could not be moved: {error}")
    else:
        moves.say(f"{shown(entry.path)} was moved to {shown(place)}")


async def move_what_ended(scanner: InboxScanner, moves: Moves) -> None:
    """Say what a look found besides recordings, and move what ended before and was left where it was."""
    while scanner.notices:
        moves.say(scanner.notices.pop(0))
    ended, scanner.ended_before = scanner.ended_before, []
    for entry, arrival in ended:
        await move_ended(scanner.inbox, entry, arrival, moves)


@dataclass(slots=True)
class Ingest:
    """A drop folder being emptied by a runner; belongs to one event loop.

    A watched folder that says of itself when something changes is looked into then, and else as seldom as
    keeps the looks below 2 % of a processor; the changes of a network's folder may be seen by looks alone.

    Attributes:
        claims: takes what arrives.
        interval_s: between two looks, at least.
        watch: go on looking until `stop`.
        queue: of events on the inbox; None: there is none.
        say: told what people should know.
    """

    claims: Claims
    interval_s: float
    watch: bool
    queue: EventQueue | None
    say: Callable[[str], None]
    _announced: asyncio.Queue[Announcement | None] = field(default_factory=asyncio.Queue)
    _stopped: threading.Event = field(default_factory=threading.Event)
    # What the looks cost asks for; it holds as long as the inbox says of itself when something changes.
    _pause_s: float = 0.0
    _is_followed: bool = False
    _found: list[ScannedRecording] | None = None
    _has_found: bool = False

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped.set()
        self._announced.put_nowait(None)

    async def look(self) -> int:
        """Look for the first time; returns how many recordings are there that are new, complete or not.

        Raises:
            RefusedError: the inbox cannot be looked into. While watching, it is tried again.
        """
        self._found = await self._look()
        return len(self._found) + len(self.claims.scanner.growing)

    async def works(self) -> AsyncIterator[TranscribeWork]:
        """Yield the work on each recording that is new and complete, the more urgent of a look first.

        The first look may have been taken before.

        Raises:
            RefusedError: the inbox cannot be looked into. While watching, it is tried again.
        """
        if self.queue is not None and self.watch:
            self._listen(self.queue)
        if self.watch:
            self._follow_changes()
        scanner, looks = self.claims.scanner, 0
        while not self._is_over():
            found, self._found = self._found, None
            async for work in self._claimed(await self._look() if found is None else found):
                yield work
            looks += 1
            if not self.watch and (looks >= scanner.looks or not scanner.growing):
                break
            async for work in self._until_the_next_look():
                yield work
        if not self.watch:
            async for work in self._announced_by_now():
                yield work
            self._say_what_is_left()

    def _is_over(self) -> bool:
        return self._stopped.is_set() or self.claims.runner.is_cut_off

    async def _look(self) -> list[ScannedRecording]:
        try:
            scanned = await run_blocking(self._timed_look)
        except RefusedError as error:
            if not self.watch:
                raise
            self.say(f"{error}; looking again in {self.interval_s:g} s")
            return []
        await move_what_ended(self.claims.scanner, self.claims.moves)
        return scanned

    def _timed_look(self) -> list[ScannedRecording]:
        began_s = time.thread_time()
        try:
            return self.claims.scanner.look()
        finally:
            self._pause_s = (time.thread_time() - began_s) / _LOOKS_SHARE

    async def _claimed(self, scanned: Sequence[ScannedRecording]) -> AsyncIterator[TranscribeWork]:
        self._has_found = self._has_found or bool(scanned)
        for each in scanned:
            work = None if self._is_over() else await self.claims.claim(each)
            if work is not None:
                yield work

    async def _until_the_next_look(self) -> AsyncIterator[TranscribeWork]:
        """Yield what is announced meanwhile; what changes in the inbox ends the wait after the interval."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        ends_at = began + max(self.interval_s, self._pause_s if self._is_followed else 0.0)
        while (left_s := ends_at - loop.time()) > 0 and not self._is_over():
            try:
                announcement = await asyncio.wait_for(self._announced.get(), left_s)
            except TimeoutError:
                return
            if announcement is None:
                ends_at = began + self.interval_s
                continue
            async for work in self._announced_work(announcement):
                yield work

    async def _announced_by_now(self) -> AsyncIterator[TranscribeWork]:
        """Empty the queue, if there is one; yield what it announces and no look has found."""
        queue = self.queue
        if queue is None:
            return
        try:
            while not self._is_over() and (announcements := await run_blocking(queue.receive, 0)):
                for announcement in announcements:
                    async for work in self._announced_work(announcement):
                        yield work
        except SourceOutOfReachError as error:
            # The looks into the inbox have found what it announces.
            self.say(str(error))
        self._say_notices(queue)

    def _say_what_is_left(self) -> None:
        """Say what this command leaves to the next one, or that there was nothing for it to do."""
        scanner = self.claims.scanner
        if scanner.growing:
            self.say(f"not complete yet, left for the next time: {', '.join(scanner.growing)}")
        elif not self._has_found and not self._is_over():
            self.say(f"nothing new to transcribe in {shown(scanner.inbox.address)}")

    async def _announced_work(self, announcement: Announcement) -> AsyncIterator[TranscribeWork]:
        """Yield what a message announces; it is acknowledged once all of that is claimed."""
        scanned = await run_blocking(self.claims.scanner.announced, announcement.entries)
        async for work in self._claimed(scanned):
            yield work
        if not self._is_over():
            await run_blocking(announcement.acknowledge)

    def _say_notices(self, queue: EventQueue) -> None:
        while queue.notices:
            self.say(queue.notices.pop(0))

    def _follow_changes(self) -> None:
        """Hear from the inbox, in a thread, when something in it changes."""
        loop = asyncio.get_running_loop()

        def follow() -> None:
            with suppress(RuntimeError):  # the loop is closed
                for _ in self.claims.scanner.inbox.changes(self._stopped):
                    loop.call_soon_threadsafe(self._announced.put_nowait, None)
                # Only looks can tell from now on: they are due at the interval again.
                self._is_followed = False
                loop.call_soon_threadsafe(self._announced.put_nowait, None)

        self._is_followed = True
        threading.Thread(target=follow, name="changes", daemon=True).start()

    def _listen(self, queue: EventQueue) -> None:
        """Hear what the queue announces, in a thread: waiting for messages cannot be broken off."""
        loop = asyncio.get_running_loop()

        def listen() -> None:
            said = ""
            while not self._stopped.is_set():
                try:
                    announcements = queue.receive()
                    said = ""
                    self._say_notices(queue)
                    for announcement in announcements:
                        loop.call_soon_threadsafe(self._announced.put_nowait, announcement)
                except SourceOutOfReachError as error:
                    # The looks into the inbox make up for it.
                    if str(error) != said:
                        self.say(f"{error}; the looks go on")
                    said = str(error)
                    time.sleep(self.interval_s)
                except RuntimeError:  # the loop is closed
                    return

        threading.Thread(target=listen, name="queue", daemon=True).start()
