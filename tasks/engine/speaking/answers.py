"""What was spoken, as the API sends it: while it is still being made."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response, StreamingResponse

from tasks.engine.errors import EngineError
from tasks.engine.problems import problem_of
from tasks.engine.speaking.wishes import SpeechWish, StreamFormat
from tasks.media.speech_arguments import SpeechFormat

_TYPES = {
    SpeechFormat.MP3: "audio/mpeg",
    SpeechFormat.OPUS: "audio/ogg",
    SpeechFormat.AAC: "audio/aac",
    SpeechFormat.FLAC: "audio/flac",
    SpeechFormat.WAV: "audio/wav",
    SpeechFormat.PCM: "audio/pcm",
}


async def answer_speech(wish: SpeechWish, sound: AsyncGenerator[bytes, None]) -> Response:
    """Begin to answer, once there is something to send: until then an error has a status of its own.

    Raises:
        EngineError: nothing came.
    """
    try:
        first = await anext(sound)
    except StopAsyncIteration:
        raise EngineError("the voice said nothing") from None
    whole = _from_first(first, sound)
    if wish.stream_format is StreamFormat.SSE:
        return StreamingResponse(_events(whole, wish.text), media_type="text/event-stream")
    return StreamingResponse(whole, media_type=_TYPES[wish.format])


async def _from_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


async def _events(sound: AsyncGenerator[bytes, None], text: str) -> AsyncGenerator[str, None]:
    try:
        async with aclosing(sound):
            async for piece in sound:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
        words = len(text.split())
        usage = {"input_tokens": words, "output_tokens": 0, "total_tokens": words}
        yield _event({"type": "speech.audio.done", "usage": usage})
    except Exception as error:  # noqa: BLE001 - the status has gone out; this is all that can be said
        yield "event: error\n" + _event(problem_of(error).envelope)


def _event(data: object) -> str:
    return f"data: {json.dumps(data)}\n\n"
