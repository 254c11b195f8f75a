"""Giving a listener an answer while it is still being written: pieces are added as they are known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tasks.settling import settle
from tasks.speaking.joining import Joiner
from tasks.speaking.live import LivePiece
from tasks.speaking.script import Script
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.splitting import Span
from tasks.speaking.streaming import Sink, Streaming
from tasks.workshop import Workshop


class GrowingStream(Streaming):
    """One listener of an answer whose length nobody knows yet.

    Attributes:
        first_at: when the first sound was written, by the monotonic clock; None: not yet.
    """

    def __init__(
        self, workshop: Workshop, out: int, settings: SpeechSettings, gone: Callable[[], object]
    ) -> None:
        super().__init__(workshop, out, 0, gone)
        # Two pieces: so each is asked for in the format that can be joined.
        self._script = Script("", settings, (Span(0, 0), Span(0, 0)))
        self._grown: list[LivePiece] = []
        self._pauses: asyncio.Queue[int | None] = asyncio.Queue()
        self._has_all = False
        self.first_at: float | None = None

    def begin(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen_to_all())
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def add(self, pause_ms: int | None) -> LivePiece:
        """Add a piece; returns where its sound is to be put."""
        piece = LivePiece()
        piece.let()
        self._grown.append(piece)
        self._pieces = self._grown
        self._pauses.put_nowait(pause_ms)
        return piece

    def finish(self) -> None:
        """Say that there are no more pieces."""
        self._has_all = True
        self._pauses.put_nowait(None)

    async def _listen_to_all(self) -> None:
        try:
            joiner = Joiner()
            form = self._script.settings.format
            with self._encoder(form) as encoder:
                sink = Sink(encoder, self._write, form)
                number = 0
                while True:
                    pause = await self._pauses.get()
                    if self._has_all and number == len(self._grown):
                        break
                    joiner.begin(pause)
                    async for samples in self._samples(number, self._script):
                        await settle(sink.take, joiner.feed(samples))
                    await settle(sink.take, joiner.end())
                    number += 1
                await settle(sink.take, joiner.finish())
                await settle(sink.close)
        except BrokenPipeError:
            self._gone()
            raise

    def _write(self, data: bytes) -> None:
        super()._write(data)
        if self.first_at is None and data:
            self.first_at = time.monotonic()
