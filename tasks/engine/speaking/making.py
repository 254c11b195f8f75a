"""Making speech: a voice's program and ffmpeg side by side, and what comes out, piece by piece."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import TemporaryDirectory

from tasks.engine.errors import EngineError
from tasks.engine.speaking.speaker import Script
from tasks.errors import MediaError
from tasks.media.bounds import Bounds
from tasks.media.programs import Ffmpeg
from tasks.media.running import running
from tasks.media.speech_arguments import SpeechFormat, speech_args

_PIECE = 16_384
# What is given last, when all has gone well. No more, or the first sound would wait for the second.
_HELD = 64
# 4,096 characters are spoken in a few seconds; the machine may be slow, and the reader too.
_BOUNDS = Bounds(cpu_s=300, file_bytes=100_000_000)


def made(
    script: Script, speech_format: SpeechFormat, ffmpeg: Ffmpeg, bounds: Bounds = _BOUNDS
) -> Generator[bytes, None, None]:
    """Speak a text; the pieces joined are the file. Closing it ends both programs.

    Raises:
        EngineError: a program failed. Then the last bytes have not been given.
    """
    source, sink = os.pipe()
    try:
        with ExitStack() as stack:
            try:
                # Ours, not the program's: it may be killed.
                folder = stack.enter_context(TemporaryDirectory(prefix="stenoflow-voice-"))
                args = [*script.args, folder, str(sink)]
                voice = stack.enter_context(
                    running(args, what="speech", writes=True, handles=[sink], bounds=bounds)
                )
                encoding = speech_args(
                    ffmpeg.path,
                    source,
                    rate=script.rate,
                    tempo=script.tempo,
                    gain=script.gain,
                    speech_format=speech_format,
                )
                encoder = stack.enter_context(
                    running(encoding, what="speech", reads=True, handles=[source], bounds=bounds)
                )
            finally:
                # Each end now belongs to its program, so that the other sees it close.
                os.close(source)
                os.close(sink)
            text = script.text.encode()
            voice.write(struct.pack("<I", len(text)) + text)
            held = b""
            while piece := encoder.read_some(_PIECE):
                held += piece
                if len(held) > _HELD:
                    yield held[:-_HELD]
                    held = held[-_HELD:]
            for run in (voice, encoder):
                ended = run.finish()
                if ended.code:
                    raise run.error("failed", ended)
            if held:
                yield held
    except MediaError as error:
        raise EngineError(f"the voice could not speak: {error.message}") from error


async def flowing(pieces: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """Make the pieces in a thread; closing it, or cancelling, ends their making."""
    # One thread, so that what is being made and its end come one after the other; nobody waits for that end,
    # since whoever is being cancelled can wait for nothing.
    thread = ThreadPoolExecutor(1, "stenoflow-speech")
    try:
        while piece := await asyncio.wrap_future(thread.submit(next, pieces, b"")):
            yield piece
    finally:
        thread.submit(pieces.close)
        thread.shutdown(wait=False)
