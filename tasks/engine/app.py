"""The engine's API: OpenAI's routes for transcription, speech, chat and models, as an ASGI app.

It keeps no state of its own and needs no lifespan events, so it can be driven in process; close
the engine when done.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import NoReturn

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stenoflow.tasks.engine.api_errors import HANDLERS, ApiErrorReply, answer_api_error, api_error_of, invalid
from stenoflow.tasks.engine.engine import (
    CHAT_NAMES,
    EXTRACTIVE_SUMMARY,
    Engine,
    default_speech_model,
    load_sound,
)
from stenoflow.tasks.engine.recogniser import Recogniser, Recognition
from stenoflow.tasks.engine.request_schema import Body, TranscriptionForm, read_body, received
from stenoflow.tasks.engine.responses import EngineTranscript, answer
from stenoflow.tasks.engine.speech.synthesis import (
    answer_speech,
    read_speech_form,
    stream_synthesis,
    synthesize,
)
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.languages import NAME_OF
from stenoflow.tasks.transcript.timecode import samples_to_ms

# The status that nginx gave to a client that left; nobody is there to read it.
_CLIENT_LEFT = 499
# A meeting of a day is 1 MB of text, and takes most of a minute to sum up.
_LARGEST_JSON = 2 * 1024 * 1024


def create_app(engine: Engine, api_key: str | None = None) -> Starlette:
    """Put the API before an engine.

    Args:
        engine: what hears; the caller closes it.
        api_key: clients must send it as a bearer token; None lets in everyone.
    """
    app = Starlette(
        routes=[
            Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
            Route("/v1/audio/translations", translate, methods=["POST"]),
            Route("/v1/audio/speech", speak, methods=["POST"]),
            Route("/v1/audio/voices", list_voices),
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/v1/models/{model}", show_model),
        ],
        middleware=[Middleware(KeyCheck, api_key=api_key)] if api_key else [],
        exception_handlers=HANDLERS,
    )
    app.state.engine = engine
    return app


async def transcribe(request: Request) -> Response:
    """Answer POST /v1/audio/transcriptions."""
    async with received(request) as asked:
        wish = asked.wish
        recogniser = _recogniser(_engine(request), wish)
        samples = await load_sound(asked.sound)
    hearing = await recogniser.recognise(samples, wish.hints)
    if wish.stream:
        return StreamingResponse(_events(hearing), media_type="text/event-stream")
    utterances = []
    async with aclosing(hearing.utterances) as coming:
        async for utterance in coming:
            utterances.append(utterance)
            if await request.is_disconnected():
                return Response(status_code=_CLIENT_LEFT)
    transcript = EngineTranscript(hearing.language, samples_to_ms(samples.size), utterances)
    return answer(transcript, wish.format, wish.granularities)


async def translate(_: Request) -> NoReturn:
    """Answer POST /v1/audio/translations: it cannot."""
    message = "The embedded engine cannot translate; transcribe here, or set OPENAI_API_KEY."
    # Not 501: clients try a 5xx again, and take it for a call that may have been charged.
    raise ApiErrorReply(400, message, code="not_supported")


async def speak(request: Request) -> Response:
    """Answer POST /v1/audio/speech."""
    wish = read_speech_form(await read_body(request, _LARGEST_JSON))
    speaker = _engine(request).speaker(wish.model)
    script = speaker.script(wish.text, wish.voice, wish.speed)
    ffmpeg = await asyncio.to_thread(find_ffmpeg)
    return await answer_speech(wish, stream_synthesis(synthesize(script, wish.format, ffmpeg)))


async def list_voices(request: Request) -> Response:
    """Answer GET /v1/audio/voices?model=: not OpenAI's, but other servers of its API have it."""
    model = request.query_params.get("model") or default_speech_model()
    voices = _engine(request).speaker(model).voices
    return JSONResponse({"model": model, "voices": list(voices)})


async def complete(request: Request) -> Response:
    """Answer POST /v1/chat/completions."""
    body = await read_body(request, _LARGEST_JSON)
    return await asyncio.to_thread(_completed, body)


async def list_models(request: Request) -> Response:
    """Answer GET /v1/models."""
    return JSONResponse({"object": "list", "data": [_model(name) for name in _engine(request).models]})


async def show_model(request: Request) -> Response:
    """Answer GET /v1/models/{model}."""
    name = request.path_params["model"]
    _engine(request).check(name)
    return JSONResponse(_model(name))


class KeyCheck:
    """Middleware that lets in only who sends the key."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] == "http" and not self._fits(Request(scope)):
            refusal = ApiErrorReply(401, "Incorrect or missing API key", code="invalid_api_key")
            await answer_api_error(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _fits(self, request: Request) -> bool:
        sent = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(sent, self._expected)


def _engine(request: Request) -> Engine:
    engine = request.app.state.engine
    assert isinstance(engine, Engine)  # noqa: S101 - create_app put it there; this tells mypy
    return engine


def _recogniser(engine: Engine, wish: TranscriptionForm) -> Recogniser:
    recogniser = engine.recogniser(wish.model)
    language = wish.hints.language
    if language is not None and language not in recogniser.languages:
        known = ", ".join(sorted(NAME_OF[code] for code in recogniser.languages))
        raise invalid("language", f"{wish.model} does not hear {NAME_OF[language]}, only {known}")
    return recogniser


def _completed(body: Body) -> Response:
    from stenoflow.tasks.engine.chat.answers import completed  # noqa: PLC0415 - loads slowly, and only here

    return completed(body, EXTRACTIVE_SUMMARY, CHAT_NAMES)


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "stenoflow"}


async def _events(hearing: Recognition) -> AsyncIterator[str]:
    """Tell what is heard while it is heard, as server-sent events."""
    text = ""
    try:
        async with aclosing(hearing.utterances) as coming:
            async for utterance in coming:
                delta = utterance.text if text else utterance.text.lstrip()
                text += delta
                yield _event({"type": "transcript.text.delta", "delta": delta})
        yield _event({"type": "transcript.text.done", "text": text})
    except Exception as error:  # noqa: BLE001 - the status has gone out; this is all that can be said
        yield "event: error\n" + _event(api_error_of(error).envelope)
    else:
        yield "data: [DONE]\n\n"


def _event(data: object) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
