"""The sound of one piece on its way from the API to a listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tasks.audio_api.errors import CallError


class StreamBrokenError(CallError):
    """The API stopped while somebody listened: what was heard cannot be taken back to begin anew."""

    kind = "stream-broken"
    charged = "possible"
    scope = "segment"


class LivePiece:
    """A piece's sound as it comes. Somebody puts it in; somebody else, of the same event loop, iterates once.

    What was not listened to yet can be begun anew: then a call that broke off leaves no trace.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._is_over = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()
        self.is_fed = False
        """Whether anything came of it."""
        self.is_begun = False
        """Whether somebody has heard of it."""

    def put(self, part: bytes) -> None:
        """Add what came."""
        self._parts.append(part)
        self.is_fed = True
        self._changed.set()

    def restart(self) -> None:
        """Drop what came of a call that broke off."""
        self._parts.clear()
        self.is_fed = False

    def close(self, error: BaseException | None = None) -> None:
        """End it; with an error, whoever listens gets that."""
        self._is_over, self._error = True, error
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the sound as it comes; raises the error that it was closed with."""
        while True:
            while self._parts:
                self.is_begun = True
                yield self._parts.pop(0)
            if self._is_over:
                break
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error
