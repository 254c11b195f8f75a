"""The endpoints that recognise speech: transcriptions and translations, whole or as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stenoflow.tasks.engine.admission import Admission, ClientLeftError, unless_client_leaves
from stenoflow.tasks.engine.api_errors import ApiErrorReply, api_error_of, invalid
from stenoflow.tasks.engine.engine import Engine, load_sound
from stenoflow.tasks.engine.recogniser import Recogniser, Recognition
from stenoflow.tasks.engine.request_schema import TranscriptionForm, receive_transcription
from stenoflow.tasks.engine.responses import (
    EngineTranscript,
    answer_transcription,
    logprob_entries,
    server_sent_event,
    usage,
)
from stenoflow.tasks.transcript.languages import NAME_OF
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Utterance

# The status that nginx gave to a client that left; nobody is there to read it.
_CLIENT_LEFT = 499


@dataclass(frozen=True, slots=True)
class RecognitionEndpoints:
    """Answers requests to transcribe and to translate, each in its turn."""

    engine: Engine
    admission: Admission

    async def transcribe(self, request: Request) -> Response:
        """Answer POST /v1/audio/transcriptions."""
        return await self._answer(request, translated=False)

    async def translate(self, request: Request) -> Response:
        """Answer POST /v1/audio/translations: what is said, in English."""
        return await self._answer(request, translated=True)

    async def metrics(self, _: Request) -> Response:
        """Answer GET /metrics."""
        return Response(generate_latest(self.admission.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def _answer(self, request: Request, *, translated: bool) -> Response:
        try:
            async with AsyncExitStack() as held:
                held.enter_context(self.admission.admitted())
                response = await self._recognise(request, held, translated=translated)
                if isinstance(response, HoldingStream):
                    # A stream is recognised while it is sent, and keeps its place until then.
                    response.held = held.pop_all()
                return response
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)

    async def _recognise(self, request: Request, held: AsyncExitStack, *, translated: bool) -> Response:
        async with receive_transcription(request) as upload:
            form = upload.form
            if translated:
                form = replace(form, hints=replace(form.hints, translate=True))
            # Weights that have a name may have to be downloaded.
            recogniser = await asyncio.to_thread(_recogniser, self.engine, form)
            await unless_client_leaves(request, held.enter_async_context(self.admission.turn()))
            samples = await load_sound(upload.sound)
        duration_ms = samples_to_ms(samples.size)
        self.admission.count_audio(duration_ms / 1000)
        recognition = await unless_client_leaves(request, recogniser.recognise(samples, form.hints))
        if form.stream:
            return HoldingStream(_events(recognition, form, duration_ms), media_type="text/event-stream")
        transcript = EngineTranscript(
            "en" if translated else recognition.language,
            duration_ms,
            await unless_client_leaves(request, _all(recognition)),
            is_translation=translated,
        )
        return answer_transcription(transcript, form)


class HoldingStream(StreamingResponse):
    """A stream that lets go of what it holds when it has ended, however that came."""

    held: AsyncExitStack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self.held:
            await super().__call__(scope, receive, send)


async def _all(recognition: Recognition) -> list[Utterance]:
    async with aclosing(recognition.utterances) as coming:
        return [utterance async for utterance in coming]


def _recogniser(engine: Engine, form: TranscriptionForm) -> Recogniser:
    recogniser = engine.recogniser(form.model)
    language = form.hints.language
    if language is not None and language not in recogniser.languages:
        known = ", ".join(sorted(NAME_OF[code] for code in recogniser.languages))
        raise invalid("language", f"{form.model} does not recognise {NAME_OF[language]}, only {known}")
    if form.hints.translate and not recogniser.translates:
        # Not 501: clients try a 5xx again, and take it for a call that may have been charged.
        raise ApiErrorReply(400, f"{form.model} does not translate", code="not_supported")
    return recogniser


async def _events(
    recognition: Recognition, form: TranscriptionForm, duration_ms: int
) -> AsyncGenerator[str, None]:
    """Send the text while it is being recognised, as server-sent events."""
    text, spoken = "", list[dict[str, Any]]()
    try:
        async with aclosing(recognition.utterances) as coming:
            async for utterance in coming:
                delta = utterance.text if text else utterance.text.lstrip()
                text += delta
                event: dict[str, Any] = {"type": "transcript.text.delta", "delta": delta}
                if form.logprobs:
                    spoken += (entries := logprob_entries([utterance]))
                    event |= {"logprobs": entries}
                yield server_sent_event(event)
        done = {"type": "transcript.text.done", "text": text, "usage": usage(duration_ms)}
        yield server_sent_event(done | ({"logprobs": spoken} if form.logprobs else {}))
    except Exception as error:  # noqa: BLE001 - the status has gone out; this is all that can be said
        yield "event: error\n" + server_sent_event(api_error_of(error).envelope)
    else:
        yield "data: [DONE]\n\n"
