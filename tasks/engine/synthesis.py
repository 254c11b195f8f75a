"""Speech synthesis of the engine: the request, the sound in the format asked for, and the reply."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import AsyncGenerator, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from enum import StrEnum
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

from starlette.responses import Response, StreamingResponse

from stenoflow.tasks.engine.api_errors import api_error_of, invalid
from stenoflow.tasks.engine.request_schema import Body, number_field, text_field
from stenoflow.tasks.engine.responses import server_sent_event
from stenoflow.tasks.errors import EngineError, MediaError
from stenoflow.tasks.media.ffmpeg import Ffmpeg
from stenoflow.tasks.media.running import Bounds, running
from stenoflow.tasks.media.speech_arguments import SpeechFormat, synthesis_args

LONGEST_INPUT = 4_096
"""Characters."""

_E = TypeVar("_E", bound=StrEnum)


class StreamFormat(StrEnum):
    """The values of stream_format: bytes as they are, or events."""

    AUDIO = "audio"
    SSE = "sse"


@dataclass(frozen=True, slots=True)
class SpeechForm:
    """The fields of a request to speak.

    Attributes:
        speed: the duration is divided by it.
    """

    model: str
    text: str
    voice: str
    format: SpeechFormat
    speed: float
    stream_format: StreamFormat


def read_speech_form(body: Body) -> SpeechForm:
    """Read the fields of a request. ``instructions`` are for models that take them, and ignored.

    Raises:
        ApiErrorReply: a field is missing or wrong; it is named.
    """
    model = text_field(body, "model")
    text = text_field(body, "input")
    if not text.strip():
        raise invalid("input", "There is nothing to say: input is empty", "empty_input")
    if len(text) > LONGEST_INPUT:
        message = f"input is {len(text)} characters long; {LONGEST_INPUT} is the most"
        raise invalid("input", message, "string_above_max_length")
    return SpeechForm(
        model=model,
        text=text,
        voice=_voice(body),
        format=_one_of(SpeechFormat, body, "response_format", SpeechFormat.MP3),
        speed=number_field(body, "speed", 1.0, 0.25, 4.0),
        stream_format=_one_of(StreamFormat, body, "stream_format", StreamFormat.AUDIO),
    )


def _voice(body: Body) -> str:
    voice = body.get("voice")
    # Voices that a customer has made are named by an object.
    return text_field(voice, "id") if isinstance(voice, dict) else text_field(body, "voice")


def _one_of(values: type[_E], body: Body, name: str, default: _E) -> _E:
    value = body.get(name)
    if value is None:
        return default
    try:
        return values(value)
    except ValueError:
        raise invalid(name, f"{value} is none of {', '.join(values)}") from None


# Beyond these, the programs' durations are no longer those that were asked for.
_SLOWEST, _FASTEST = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class SynthesisScript:
    """The program that speaks a text, and how its samples are to be played.

    Attributes:
        args: the program that speaks. It reads the text on standard input (its length in 4 bytes,
            little-endian, and as much UTF-8), and writes 16-bit mono samples into the open descriptor whose
            number is its last argument; the one before is a folder for files of its own.
        text: as it is given to the program.
        rate: of the samples, a second.
        tempo: how many times as fast they are to be played.
        gain: how many times as loud.
    """

    args: tuple[str, ...]
    text: str
    rate: int
    tempo: float
    gain: float = 1.0


class Synthesizer(Protocol):
    """A voice model, which speaks by a program."""

    @property
    def voices(self) -> Collection[str]:
        """The names of its voices: OpenAI's first, then its own."""

    def script(self, text: str, voice: str, speed: float) -> SynthesisScript:
        """Return how a text is spoken.

        Args:
            text: not empty.
            voice: one of its voices.
            speed: 0.25 to 4; the duration is divided by it.

        Raises:
            ApiErrorReply: no voice of this name, or the text is in no language that it speaks.
        """


def own_speed(speed: float) -> float:
    """Return the part of a speed that the voice itself takes on; the rest is the tempo."""
    return min(_FASTEST, max(_SLOWEST, speed))


_PIECE = 16_384
# What is given last, when all has gone well. No more, or the first sound would wait for the second.
_HELD = 64
# 4,096 characters are spoken in a few seconds; the machine may be slow, and the reader too.
_BOUNDS = Bounds(cpu_s=300, file_bytes=100_000_000)


def synthesize(
    script: SynthesisScript, speech_format: SpeechFormat, ffmpeg: Ffmpeg, bounds: Bounds = _BOUNDS
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
                encoding = synthesis_args(
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


async def stream_synthesis(pieces: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """Make the pieces in a thread; closing it, or cancelling, ends the programs."""
    # One thread, so that what is being made and its end come one after the other; nobody waits for that end,
    # since whoever is being cancelled can wait for nothing.
    thread = ThreadPoolExecutor(1, "stenoflow-speech")
    try:
        while piece := await asyncio.wrap_future(thread.submit(next, pieces, b"")):
            yield piece
    finally:
        thread.submit(pieces.close)
        thread.shutdown(wait=False)


_TYPES = {
    SpeechFormat.MP3: "audio/mpeg",
    SpeechFormat.OPUS: "audio/ogg",
    SpeechFormat.AAC: "audio/aac",
    SpeechFormat.FLAC: "audio/flac",
    SpeechFormat.WAV: "audio/wav",
    SpeechFormat.PCM: "audio/pcm",
}


async def answer_speech(form: SpeechForm, sound: AsyncGenerator[bytes, None]) -> Response:
    """Begin to answer once there is sound; until then an error has a status of its own.

    Raises:
        EngineError: nothing came.
    """
    try:
        first = await anext(sound)
    except StopAsyncIteration:
        raise EngineError("the voice said nothing") from None
    whole = _from_first(first, sound)
    if form.stream_format is StreamFormat.SSE:
        return StreamingResponse(_events(whole, form.text), media_type="text/event-stream")
    return StreamingResponse(whole, media_type=_TYPES[form.format])


async def _from_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


async def _events(sound: AsyncGenerator[bytes, None], text: str) -> AsyncGenerator[str, None]:
    try:
        async with aclosing(sound):
            async for piece in sound:
                yield server_sent_event(
                    {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
                )
        words = len(text.split())
        usage = {"input_tokens": words, "output_tokens": 0, "total_tokens": words}
        yield server_sent_event({"type": "speech.audio.done", "usage": usage})
    except Exception as error:  # noqa: BLE001 - the status has gone out; this is all that can be said
        yield "event: error\n" + server_sent_event(api_error_of(error).envelope)
