"""Pieces of speech joined with natural pauses, and streamed to a listener."""

from __future__ import annotations

import asyncio
import os
import select
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.calls.live_stream import ListenerGoneError, LivePiece
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.script import SpeechScript
from stenoflow.tasks.media.running import Running
from stenoflow.tasks.media.speech_arguments import SPEECH_RATE
from stenoflow.tasks.media.speech_audio import Samples, converted, decode_speech, encoding

RATE = 24_000
_FRAME = RATE // 100
"""10 ms: what is quiet or not is told of these."""
_FADE = RATE // 200
"""5 ms: too short to be heard as one, long enough not to click."""
# -50 dB of full scale. The end of a word that is below lies within the part of a pause that is kept.
_QUIET = 104
# Of a pause, so much is the end of the piece before it; the rest is the start of the one after.
_PART_BEFORE = 0.6
_NOTHING = np.empty(0, np.int16)


class Joiner:
    """Takes samples piece by piece as they come, and gives those that can be told by then.

    Up to its last loud sound a piece is given at once; what is quiet behind that is held until it is known
    what follows. Inside a piece nothing is changed.
    """

    def __init__(self) -> None:
        self._rest = _NOTHING
        self._tail = _NOTHING
        self._lead = _NOTHING
        self._pause = 0
        self._is_leading = False
        self._has_sounded = False

    def begin(self, pause_ms: int | None) -> None:
        """Begin a piece; ``pause_ms`` is the pause before it, None: it is the first."""
        self._is_leading = pause_ms is not None
        self._pause = (pause_ms or 0) * RATE // 1000

    def feed(self, samples: Samples) -> Samples:
        """Take what follows of a piece; returns what is to be heard next."""
        given = np.concatenate([self._rest, samples])
        whole = given.size // _FRAME * _FRAME
        self._rest = given[whole:]
        return self._take(given[:whole])

    def end(self) -> Samples:
        """End a piece; returns what is to be heard next."""
        last, self._rest = self._rest, _NOTHING
        out = self._take(last)
        # A piece without a sound is left out; the pause is that of the next one.
        self._lead = _NOTHING
        return out

    def finish(self) -> Samples:
        """End the last piece; returns what is left."""
        out = np.concatenate([self.end(), self._tail])
        self._tail = _NOTHING
        return out

    def _take(self, samples: Samples) -> Samples:
        if not self._is_leading:
            return self._go_on(samples)
        lead = np.concatenate([self._lead, samples])
        loud = _loud_frames(lead)
        if not loud.size:
            self._lead = lead
            return _NOTHING
        first = int(loud[0]) * _FRAME
        self._is_leading, self._lead = False, _NOTHING
        gap, kept = self._bridge(lead[:first])
        return np.concatenate([gap, self._go_on(_faded(np.concatenate([kept, lead[first:]]), 0.0, 1.0))])

    def _go_on(self, samples: Samples) -> Samples:
        """Give all up to shortly before the end of the last loud sound, and hold the rest."""
        held = np.concatenate([self._tail, samples])
        loud = _loud_frames(samples)
        if not loud.size and not self._has_sounded:
            # Whoever listens is not to wait for the first word.
            return held
        if not loud.size:
            self._tail = held
            return _NOTHING
        self._has_sounded = True
        end = held.size - samples.size + min(samples.size, (int(loud[-1]) + 1) * _FRAME)
        cut = max(0, end - _FADE)
        self._tail = held[cut:]
        return held[:cut]

    def _bridge(self, lead: Samples) -> tuple[Samples, Samples]:
        """Return the end of the piece before with the pause, and what is kept of the start of this one."""
        before = round(self._pause * _PART_BEFORE)
        tail, self._tail = self._tail[: _FADE + before], _NOTHING
        kept = lead[max(0, lead.size - (self._pause - before)) :]
        quiet = max(0, tail.size - _FADE) + kept.size
        silence = np.zeros(max(0, self._pause - quiet), np.int16)
        return np.concatenate([_faded(tail, 1.0, 0.0), silence]), kept


def _loud_frames(samples: Samples) -> NDArray[np.intp]:
    """Return the numbers of the frames that are loud; the last one may be short."""
    padded = np.zeros(-(-samples.size // _FRAME) * _FRAME, np.int32)
    padded[: samples.size] = np.abs(samples.astype(np.int32))
    return np.flatnonzero(padded.reshape(-1, _FRAME).max(axis=1, initial=0) > _QUIET)


def _faded(samples: Samples, start: float, end: float) -> Samples:
    """Fade the end of samples out, or their start in."""
    length = min(_FADE, samples.size)
    ramp = np.linspace(start, end, length, dtype=np.float32)
    out = samples.astype(np.float32)
    if start < end:
        out[:length] *= ramp
    else:
        out[out.size - length :] *= ramp
    return np.rint(out).astype(np.int16)


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
        self._context = context
        self._out = out
        self._ahead = ahead
        self._gone = gone
        self._pieces: Sequence[LivePiece] = ()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False

    def listen(self, script: SpeechScript) -> Sequence[LivePiece]:
        """Begin to listen; returns where the sound of each piece is to be put."""
        self._pieces = [LivePiece() for _ in script.spans]
        self._begin(self._listen(script))
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
        await run_blocking(self._write, await run_blocking(self._context.store.get_bytes, audio.key))

    def stop(self) -> None:
        """Give no more; `ended` then raises ListenerGoneError."""
        self._is_stopped = True
        for piece in self._pieces:
            piece.let(_gone())
            piece.hang_up(_gone())

    def _begin(self, listening: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(self._while_heard(listening))
        # It is looked at even if nobody waits for it.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _while_heard(self, listening: Coroutine[Any, Any, None]) -> None:
        """Listen, and look for the listener: while a voice stalls nothing is written, and no pipe breaks."""
        task, is_told = asyncio.ensure_future(listening), False
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_AGAIN_S))[0]:
                if not is_told and self._is_unheard():
                    is_told = True
                    self._gone()
            await task
        except BrokenPipeError:
            if not is_told:
                self._gone()
            raise
        finally:
            task.cancel()

    def _is_unheard(self) -> bool:
        """Tell whether the other end of what is written to is closed; a file has none."""
        looking = select.poll()
        looking.register(self._out, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in looking.poll(0))

    async def _listen(self, script: SpeechScript) -> None:
        try:
            if len(script.spans) == 1 and script.asked == script.settings.format:
                await self._pass_on(script)
            else:
                await self._join(script)
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
        timeout_s = self._context.settings.call_deadline_s * 2
        return encoding(form, ffmpeg=self._context.ffmpeg, stall_s=timeout_s)

    async def _samples(self, number: int, script: SpeechScript) -> AsyncIterator[Samples]:
        if script.asked != "pcm":
            # Its header comes first, and its end must be known.
            data = b"".join([part async for part in self._sound(number, script)])
            yield await run_blocking(decode_speech, data, script.asked, ffmpeg=self._context.ffmpeg)
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
        data = self._context.store.get_bytes(audio.key)
        if audio.form == asked:
            return data
        return converted(data, audio.form, asked, ffmpeg=self._context.ffmpeg)

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
