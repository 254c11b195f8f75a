"""The engine's API: OpenAI's routes for transcription, speech, chat and models, as an ASGI app.

It keeps no state of its own and needs no lifespan events, so it can be driven in process; close
the engine when done.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import socket
import threading
from collections.abc import Callable, Collection
from types import FrameType

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.engine.access import HostCheck, is_loopback
from stenoflow.tasks.engine.admission import Admission
from stenoflow.tasks.engine.api_errors import HANDLERS, ApiErrorReply, answer_api_error
from stenoflow.tasks.engine.chat import reply_within_bounds
from stenoflow.tasks.engine.engine import Engine, default_speech_model
from stenoflow.tasks.engine.recognition import RecognitionEndpoints
from stenoflow.tasks.engine.request_schema import read_body, read_chat_form
from stenoflow.tasks.engine.responses import answer_chat
from stenoflow.tasks.engine.synthesis import (
    answer_speech,
    read_speech_form,
    stream_synthesis,
    synthesize,
)
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.media.ffmpeg import find_ffmpeg

# A meeting of a day is 1 MB of text.
_LARGEST_JSON = 2 * 1024 * 1024


def create_app(
    engine: Engine,
    api_key: str | None = None,
    admission: Admission | None = None,
    hosts: Collection[str] = (),
) -> Starlette:
    """Put the API before an engine.

    Args:
        engine: the models; the caller closes it.
        api_key: the bearer token that clients must send; None lets in everyone.
        admission: how many requests to recognise are let in; None: the usual number.
        hosts: further names that it answers to.
    """
    recognition = RecognitionEndpoints(engine, admission or Admission())
    app = Starlette(
        routes=[
            Route("/v1/audio/transcriptions", recognition.transcribe, methods=["POST"]),
            Route("/v1/audio/translations", recognition.translate, methods=["POST"]),
            Route("/v1/audio/speech", speak, methods=["POST"]),
            Route("/v1/audio/voices", list_voices),
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/v1/models/{model}", show_model),
            Route("/metrics", recognition.metrics),
        ],
        middleware=[
            Middleware(HostCheck, hosts=hosts),
            *([Middleware(KeyCheck, api_key=api_key)] if api_key else []),
        ],
        exception_handlers=HANDLERS,
    )
    app.state.engine = engine
    return app


async def speak(request: Request) -> Response:
    """Answer POST /v1/audio/speech."""
    form = read_speech_form(await read_body(request, _LARGEST_JSON))
    synthesizer = _engine(request).synthesizer(form.model)
    script = synthesizer.script(form.text, form.voice, form.speed)
    ffmpeg = await asyncio.to_thread(find_ffmpeg)
    return await answer_speech(form, stream_synthesis(synthesize(script, form.format, ffmpeg)))


async def list_voices(request: Request) -> Response:
    """Answer GET /v1/audio/voices?model=: not OpenAI's, but other servers of its API have it."""
    model = request.query_params.get("model") or default_speech_model()
    voices = _engine(request).synthesizer(model).voices
    return JSONResponse({"model": model, "voices": list(voices)})


async def complete(request: Request) -> Response:
    """Answer POST /v1/chat/completions."""
    form = read_chat_form(await read_body(request, _LARGEST_JSON))
    model = _engine(request).chat_model(form.model)
    return answer_chat(form, model, await reply_within_bounds(form))


async def list_models(request: Request) -> Response:
    """Answer GET /v1/models."""
    return JSONResponse({"object": "list", "data": [_model(name) for name in _engine(request).models]})


async def show_model(request: Request) -> Response:
    """Answer GET /v1/models/{model}."""
    name = request.path_params["model"]
    _engine(request).check(name)
    return JSONResponse(_model(name))


class KeyCheck:
    """Middleware that refuses requests without the key."""

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


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "stenoflow"}


_GRACE_S = 5


def serve(
    engine: Engine,
    *,
    host: str = "127.0.0.1",
    port: int = 8178,
    api_key: str | None = None,
    hosts: Collection[str] = (),
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the engine until SIGINT or SIGTERM, then close it.

    Args:
        engine: the models; closed in the end.
        host: other than loopback only with a key.
        port: 0 takes a free one.
        api_key: the bearer token that clients must send; None lets in everyone.
        hosts: further names that it answers to, beside its own and the loopback's.
        on_ready: called with the base URL once connections are accepted.

    Raises:
        SettingsError: the address is in use or not ours, or open to others without a key.
    """
    if not is_loopback(host) and not api_key:
        raise SettingsError(f"the engine would be open to everyone who reaches {host}", "set a key for it")
    import uvicorn  # noqa: PLC0415 - loads slowly, and is not needed in process

    app = create_app(engine, api_key, hosts=hosts)
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_S
    )
    # A thread that still decodes would be waited for; what it makes is for nobody.
    at_the_latest = threading.Timer(2 * _GRACE_S, os._exit, (1,))
    at_the_latest.daemon = True

    class EndingServer(uvicorn.Server):
        """A server that ends in time, whatever its threads do."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Begin to end at a signal, and see to it that it comes to that."""
            if not self.should_exit:
                at_the_latest.start()
            super().handle_exit(sig, frame)

    with contextlib.closing(engine), _listen(host, port) as listener:
        on_ready(_base_url(host, listener))
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a server ends
            EndingServer(config).run(sockets=[listener])
    at_the_latest.cancel()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = plain_reason(error)
        raise SettingsError(
            f"the engine cannot listen on {host} port {port}: {reason}", "try --port"
        ) from error


def _base_url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/v1"
