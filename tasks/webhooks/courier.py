"""Delivering events beside the work, in order; only the end of the run waits for it, and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tasks.webhooks.events import Event
from tasks.webhooks.sending import GoneError, UndeliveredError

# A receiver that is away must not fill the memory of a run that goes on for weeks.
_MOST_WAITING = 1_000


class Courier:
    """Takes events at once and delivers them later; belongs to one event loop.

    Args:
        send: delivers one event, or raises UndeliveredError.
        say: told what was not delivered.
    """

    def __init__(self, send: Callable[[Event], Awaitable[None]], say: Callable[[str], object]) -> None:
        self._send = send
        self._say = say
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)
        self._taken: set[str] = set()
        self._in_hand: Event | None = None
        self._is_gone = False
        self._work = asyncio.create_task(self._deliver())

    def take(self, event: Event) -> None:
        """Take an event to deliver; one that was taken before is dropped."""
        if self._is_gone or event.id in self._taken:
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._say(f"event not delivered: {_name(event)}: {_MOST_WAITING} others are waiting")
        else:
            self._taken.add(event.id)

    async def close(self, patience_s: float) -> None:
        """Deliver what is left, for so long; then say what was not."""
        rest = asyncio.create_task(self._waiting.join())
        await asyncio.wait([rest, self._work], timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        for task in (rest, self._work):
            task.cancel()
        await asyncio.wait([rest, self._work])
        left = [self._in_hand] if self._in_hand else []
        while not self._waiting.empty():
            left.append(self._waiting.get_nowait())
        for event in () if self._is_gone else left:
            self._say(f"event not delivered: {_name(event)}: the run ended before the receiver took it")

    async def _deliver(self) -> None:
        while not self._is_gone:
            self._in_hand = await self._waiting.get()
            try:
                await self._send(self._in_hand)
            except Exception as error:  # noqa: BLE001 - whatever it is, the work and the next event go on
                self._is_gone = isinstance(error, GoneError)
                # Told again, it is to be tried again.
                self._taken.discard(self._in_hand.id)
                why = str(error) if isinstance(error, UndeliveredError) else type(error).__name__
                self._say(f"event not delivered: {_name(self._in_hand)}: {why}")
            self._in_hand = None
            self._waiting.task_done()


def _name(event: Event) -> str:
    return f"{event.type} of {event.of}"
