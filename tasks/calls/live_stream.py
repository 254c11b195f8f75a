"""The sound of one piece on its way from the API to a listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.calls.audio_cache import StoredAudio


class StreamBrokenError(CallError):
    """The API stopped while somebody listened: what was heard cannot be taken back to begin anew."""

    kind = "stream-broken"
    charged = "possible"
    scope = "segment"


class ListenerGoneError(CallError):
    """Nobody listens any more, so it was not asked for."""

    kind = "listener-gone"
    scope = "provider"


class LivePiece:
    """A piece's sound as it comes. Somebody puts it in; somebody else, of the same event loop, iterates once.

    As long as nobody listens it can be begun anew: then a call that broke off leaves no trace. What is
    whole before anybody listens is not kept here: it is in the store.

    Attributes:
        is_begun: somebody has heard of it.
        audio: the whole of it, in the store, once it is there.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._is_over = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()
        self._turn = asyncio.Event()
        self._refused: StenoflowError | None = None
        self.is_begun = False
        self.audio: StoredAudio | None = None

    def let(self, refused: StenoflowError | None = None) -> None:
        """Let it be asked for; or say why it shall not be any more."""
        self._refused = refused
        self._turn.set()

    async def turn(self) -> None:
        """Wait until it may be asked for. Raises the reason why it may not."""
        await self._turn.wait()
        if self._refused is not None:
            raise self._refused

    def put(self, part: bytes) -> None:
        """Add what came."""
        if self._is_over:
            return
        self._parts.append(part)
        self._changed.set()

    def restart(self) -> None:
        """Drop what came of a call that broke off."""
        self._parts.clear()

    def close(self, audio: StoredAudio) -> None:
        """End it, for it is whole and stored."""
        if self._is_over:
            return
        self._is_over, self.audio = True, audio
        if not self.is_begun:
            self._parts.clear()
        self._changed.set()

    def fail(self, error: BaseException) -> None:
        """End it; whoever listens gets the error."""
        self._parts.clear()
        self._is_over, self._error = True, self._error or error
        self._changed.set()

    def hang_up(self, error: StenoflowError) -> None:
        """Stop listening: whoever iterates gets the error, what comes is not kept."""
        if not self._is_over:
            self.fail(error)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the sound as it comes; nothing, if it was whole before. Raises what it failed with."""
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
