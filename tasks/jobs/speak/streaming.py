"""Giving a listener what is spoken as it comes: the pieces in order, as one stream."""

from __future__ import annotations

import asyncio
import os
import select
import struct
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.calls.live_stream import ListenerGoneError, LivePiece
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.joining import Joiner
from stenoflow.tasks.jobs.speak.script import SpeechScript
from stenoflow.tasks.media.arguments import SPEECH_RATE
from stenoflow.tasks.media.running import Running
from stenoflow.tasks.media.speech_audio import Samples, converted, decode_speech, encoding

_READ_BYTES = 1 << 16
_UNKNOWN = 0xFFFFFFFF
_LOOK_AGAIN_S = 0.2


class LiveStream:
    """One listener; belongs to an event loop, and is used for one text.

    Args:
        context: the tools.
        out: the descriptor that is written to.
        ahead: how many pieces may be asked for beyond the one that is listened to: a listener who goes
            away is not to have bought a book.
        gone: called once if the listener goes away.
    """

    def __init__(self, context: AppContext, out: int, ahead: int, gone: Callable[[], object]) -> None:
        self._workshop = context
        self._out = out
        self._ahead = ahead
        self._gone = gone
        self._pieces: Sequence[LivePiece] = ()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False

    def listen(self, script: SpeechScript) -> Sequence[LivePiece]:
        """Begin to listen; returns where the sound of each piece is to be put."""
        self._pieces = [LivePiece() for _ in script.spans]
        self._task = asyncio.create_task(self._listen(script))
        # It is looked at even if nobody waits for it.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._pieces

    async def ended(self) -> None:
        """Wait until all is written.

        Raises:
            BrokenPipeError: the listener is gone.
            StenoflowError: what a piece ended in.
        """
        if self._task is not None:
            await self._task

    async def play(self, audio: StoredAudio) -> None:
        """Write what is stored whole. Raises BrokenPipeError."""
        await run_blocking(self._write, await run_blocking(self._workshop.store.get_bytes, audio.key))

    def stop(self) -> None:
        """Give no more; `ended` then raises ListenerGoneError."""
        self._is_stopped = True
        for piece in self._pieces:
            piece.let(_gone())
            piece.hang_up(_gone())

    async def _listen(self, script: SpeechScript) -> None:
        try:
            if len(script.spans) == 1 and script.asked == script.settings.format:
                await self._pass_on(script)
            else:
                await self._join(script)
        except BrokenPipeError:
            self._gone()
            raise
        finally:
            for piece in self._pieces:
                piece.let(_gone())

    async def _pass_on(self, script: SpeechScript) -> None:
        async for part in self._sound(0, script):
            await run_blocking(self._write, part)

    async def _join(self, script: SpeechScript) -> None:
        joiner = Joiner()
        with self._encoder(script.settings.format) as encoder:
            sink = Sink(encoder, self._write, script.settings.format)
            for number, pause in enumerate(script.pauses):
                joiner.begin(pause)
                async for samples in self._samples(number, script):
                    await run_blocking(sink.take, joiner.feed(samples))
                await run_blocking(sink.take, joiner.end())
            await run_blocking(sink.take, joiner.finish())
            await run_blocking(sink.close)

    def _encoder(self, form: str) -> AbstractContextManager[Running | None]:
        if form in {"pcm", "wav"}:
            return nullcontext(None)
        patience_s = self._workshop.settings.call_deadline_s * 2
        return encoding(form, ffmpeg=self._workshop.ffmpeg, stall_s=patience_s)

    async def _samples(self, number: int, script: SpeechScript) -> AsyncIterator[Samples]:
        if script.asked != "pcm":
            # Its header comes first, and its end must be known.
            data = b"".join([part async for part in self._sound(number, script)])
            yield await run_blocking(decode_speech, data, script.asked, ffmpeg=self._workshop.ffmpeg)
            return
        odd = b""
        async for part in self._sound(number, script):
            whole = odd + part
            even = len(whole) // 2 * 2
            odd = whole[even:]
            yield np.frombuffer(whole[:even], "<i2").astype(np.int16, copy=False)

    async def _sound(self, number: int, script: SpeechScript) -> AsyncIterator[bytes]:
        """Yield a piece's sound as it comes, or from the store where it is whole already."""
        piece = self._pieces[number]
        piece.let()
        async for part in piece:
            # Not before: what is listened to now is to be asked for first.
            self._let_ahead(number)
            yield part
        self._let_ahead(number)
        if not piece.is_begun and piece.audio is not None:
            yield await run_blocking(self._stored, piece.audio, script.asked)

    def _let_ahead(self, number: int) -> None:
        for piece in self._pieces[number + 1 : number + 1 + self._ahead]:
            piece.let()

    def _stored(self, audio: StoredAudio, asked: str) -> bytes:
        data = self._workshop.store.get_bytes(audio.key)
        if audio.form == asked:
            return data
        return converted(data, audio.form, asked, ffmpeg=self._workshop.ffmpeg)

    def _write(self, data: bytes) -> None:
        """Write all, as fast as the listener takes it; a stop ends the waiting for that."""
        view = memoryview(data)
        while view:
            if self._is_stopped:
                raise _gone()
            if select.select([], [self._out], [], _LOOK_AGAIN_S)[1]:
                # A pipe that can be written to takes as much without waiting.
                view = view[os.write(self._out, view[: select.PIPE_BUF]) :]


class Sink:
    """Takes samples, and writes them encoded; its methods block."""

    def __init__(self, encoder: Running | None, write: Callable[[bytes], None], form: str) -> None:
        self._encoder = encoder
        self._write = write
        self._header = _endless_wav_header() if form == "wav" else b""
        self._error: BaseException | None = None
        self._reader = threading.Thread(target=self._read, name="encoded stream", daemon=True)
        if encoder is not None:
            self._reader.start()

    def take(self, samples: Samples) -> None:
        """Write samples."""
        self._check()
        data = samples.astype("<i2").tobytes()
        if self._encoder is None:
            header, self._header = self._header, b""
            self._write(header + data)
        elif data:
            try:
                self._encoder.write(data)
            except StenoflowError:
                # Its reader has closed it down, and knows why.
                self._check()
                raise

    def close(self) -> None:
        """Write what is left."""
        if self._encoder is None:
            return
        self._encoder.end_input()
        self._reader.join()
        self._check()
        finished = self._encoder.finish()
        if finished.code:
            raise self._encoder.error("failed to encode", finished)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        """Pass on what the encoder gives, at once."""
        assert self._encoder is not None  # noqa: S101 - else this is not started
        try:
            while part := self._encoder.read_some(_READ_BYTES):
                self._write(part)
        except (OSError, StenoflowError) as error:
            self._error = error
            self._encoder.stop()


def _gone() -> ListenerGoneError:
    return ListenerGoneError("nobody listens any more", "resume asks for the rest")


def _endless_wav_header() -> bytes:
    """Return the header of a WAV whose length nobody knows yet."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SPEECH_RATE, 2 * SPEECH_RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE") + form + struct.pack("<4sI", b"data", _UNKNOWN)
