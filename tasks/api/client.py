"""The client of an OpenAI-compatible audio API. It calls once; `retrying` calls again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from stenoflow.tasks.api.answers import Answer, parse_answer
from stenoflow.tasks.api.chat import ChatAnswer, ChatRequest, Dialect, Pieces, document_of, parse_chat
from stenoflow.tasks.api.classification import error_of_failure, error_of_page, error_of_reply, is_page
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.dialects import DIALECTS, AskedFor
from stenoflow.tasks.api.error_body import hint_for
from stenoflow.tasks.api.errors import (
    FormatRefusedError,
    ModelNotFoundError,
    NotTranslatedError,
    SegmentRefusedError,
    VoicesRefusedError,
    WordsRefusedError,
    WrongAddressError,
)
from stenoflow.tasks.api.model_table import ModelTable
from stenoflow.tasks.api.models import ListedModel, Model, parse_catalogue
from stenoflow.tasks.api.network import has_special_way, open_http
from stenoflow.tasks.api.reading import read_lines, read_reply
from stenoflow.tasks.api.request_ids import note_request_id
from stenoflow.tasks.api.requests import RequestBody, TranscriptionRequest
from stenoflow.tasks.api.speech import Sound, SpeechRequest, read_sound, speech_document
from stenoflow.tasks.api.thoughts import ThoughtFilter
from stenoflow.tasks.api.types import Reply, Target

R = TypeVar("R", TranscriptionRequest, ChatRequest, SpeechRequest)

_CHAT = "chat/completions"
_SOUND = {"Content-Type": "audio/mpeg"}
_EVENTS = "text/event-stream"


class AudioApi:
    """An OpenAI-compatible audio API, wherever it is.

    Belongs to the event loop of its first call. Close it with ``aclose`` or use it as a context manager.

    Args:
        settings: address, key, limits.
        models: what each model can do.
        transport: another way than the network, such as ``httpx.ASGITransport``.
    """

    def __init__(
        self,
        settings: AudioApiSettings,
        models: ModelTable[Model],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self._dialect = DIALECTS[settings.asked.dialect]
        self._models = models
        self._transport = transport
        # What each model can do at an endpoint, where that is less than the table says.
        self._transcribed: dict[str, Model] = {}
        self._translated: dict[str, Model] = {}
        self._voiceless: set[str] = set()
        self._dialects: dict[str, Dialect] = {}
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        # Whatever is wrong with the way there is said before anything is begun. Where nothing can be, a run
        # that has nothing to ask is spared a fifth of a second.
        if self._transport is None and has_special_way(self.settings.base_url):
            self._client()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def model(self, name: str) -> Model:
        """Return what a model can do here: less than the table says once the server refused a format."""
        return self._transcribed.get(name) or self._models.get(name)

    async def transcribe(self, path: Path, request: TranscriptionRequest, *, duration_ms: int) -> Answer:
        """Send one segment and read the answer; one call, at most one of them charged.

        A server that refuses the richer format (free of charge) is asked for less, then and later: for no
        times of words, then for plain json. One that refuses the clips of who may speak is sent none.

        Args:
            path: the segment's file, read as it is sent.
            request: what is wanted.
            duration_ms: how long the segment is; the answer's times must lie inside.

        Raises:
            CallError: there is no usable answer; its class says what that means.
            OSError: the file cannot be opened.
        """
        if request.model in self._voiceless:
            request = replace(request, voices=())

        async def ask(model: Model) -> Answer:
            return await self._hear(self._ask(request, model), path, request.model, duration_ms)

        try:
            return await self._in_its_format(self._transcribed, request.model, ask)
        except VoicesRefusedError:
            if not request.voices:
                raise
            self._voiceless.add(request.model)
            return await self.transcribe(path, request, duration_ms=duration_ms)

    async def translate(self, path: Path, request: TranscriptionRequest, *, duration_ms: int) -> Answer:
        """Send one segment and read its translation into English; otherwise as `transcribe`.

        Raises:
            NotTranslatedError: there is no such endpoint here, or not for this model.
            CallError, OSError: as `transcribe`.
        """

        async def ask(model: Model) -> Answer:
            asked = self._ask(request, model, translate=True)
            return await self._hear(asked, path, request.model, duration_ms)

        try:
            return await self._in_its_format(self._translated, request.model, ask)
        except (ModelNotFoundError, WrongAddressError) as error:
            # The same model transcribes all the same: the others are to go on.
            hint = hint_for(NotTranslatedError, self._target(request.model))
            raise NotTranslatedError(error.message, hint, error.status) from error

    async def speak(self, request: SpeechRequest, take: Callable[[bytes], object] = lambda _: None) -> Sound:
        """Have a text spoken; one call, at most one of them charged.

        Args:
            request: what is wanted.
            take: given the sound as it comes, if it is in the format that was asked for.

        Raises:
            CallError: there is no sound, or not all of it; its class says what that means.
        """
        target = self._target(request.model)
        upload = RequestBody(document=speech_document(self._sent(request)))
        async with self._response(
            "POST", "audio/speech", target, upload, headers={"Accept": "*/*"}
        ) as response:
            if not response.is_success:
                await self._checked(response, target)
            return await read_sound(response, request, target, self.settings, take)

    async def models(self) -> tuple[ListedModel, ...]:
        """Ask which models there are.

        Raises:
            CallError: there is no usable answer.
        """
        target = self._target()
        return parse_catalogue(await self._exchange("GET", "models", target), target)

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask a chat model and read its whole answer; one call, at most one of them charged.

        A server that refuses a field (free of charge) is asked without it, then and later.

        Raises:
            CallError: there is no usable answer; its class says what that means.
        """
        target = self._target(request.model)

        async def ask(dialect: Dialect) -> ChatAnswer:
            reply = await self._exchange(
                "POST", _CHAT, target, RequestBody(document=document_of(self._sent(request), dialect))
            )
            return parse_chat(reply.body, target)

        return await self._in_its_dialect(request.model, ask)

    async def stream_chat(
        self, request: ChatRequest, on_text: Callable[[str], object], *, marks_thoughts: bool = True
    ) -> ChatAnswer:
        """Ask a chat model, and be told its answer piece by piece as it comes; else as `chat`.

        Args:
            request: the question.
            on_text: told.
            marks_thoughts: whether a thought begins with a mark; False: nothing is told before one has ended,
                or the answer has.
        """
        target = self._target(request.model)

        async def ask(dialect: Dialect) -> ChatAnswer:
            upload = RequestBody(document=document_of(self._sent(request), dialect, stream=True))
            pieces = Pieces(target, on_text, ThoughtFilter(waits=not marks_thoughts))
            async with self._response("POST", _CHAT, target, upload, headers={"Accept": _EVENTS}) as response:
                if _EVENTS not in response.headers.get("content-type", "") or not response.is_success:
                    # Refused, or a server that does not stream.
                    return _sent_at_once(await self._checked(response, target), target, on_text)
                async for line in read_lines(response, target, self.settings):
                    pieces.take(line)
            return pieces.answer()

        return await self._in_its_dialect(request.model, ask)

    async def _in_its_dialect(
        self, model: str, ask: Callable[[Dialect], Awaitable[ChatAnswer]]
    ) -> ChatAnswer:
        """Ask, and again in other ways as long as a refusal tells of one."""
        while True:
            dialect = self._dialects.get(model, Dialect())
            try:
                return await ask(dialect)
            except SegmentRefusedError as refusal:
                other = dialect.after(refusal)
                if other is None:
                    raise
                self._dialects[model] = other

    async def _in_its_format(
        self, learned: dict[str, Model], name: str, ask: Callable[[Model], Awaitable[Answer]]
    ) -> Answer:
        """Ask, and for less as long as the format is refused."""
        while True:
            model = learned.get(name) or self.model(name)
            try:
                return await ask(model)
            except FormatRefusedError as refusal:
                plainer = model.plainer(words_refused=isinstance(refusal, WordsRefusedError))
                if plainer is None:
                    raise
                # Another call may have learned more meanwhile.
                if learned.get(name, model) == model:
                    learned[name] = plainer

    def _ask(self, request: TranscriptionRequest, model: Model, *, translate: bool = False) -> AskedFor:
        return self._dialect.ask(self._sent(request), model, translate=translate)

    def _sent(self, request: R) -> R:
        """Return a request with the name that its model has at this server."""
        return replace(request, model=self.settings.asked.sent_name(request.model))

    async def _hear(self, asked: AskedFor, path: Path, model: str, duration_ms: int) -> Answer:
        target = self._target(model)
        with await asyncio.to_thread(path.open, "rb") as file:
            if asked.fields is None:
                upload, headers = RequestBody(body=await asyncio.to_thread(file.read)), _SOUND
            else:
                upload, headers = RequestBody(asked.fields, file), None
            reply = await self._exchange(
                "POST", asked.path, target, upload, headers=headers, query=asked.query
            )
        return parse_answer(self._dialect.read(reply.body), target, duration_ms, reply.content_type)

    async def _exchange(
        self,
        method: str,
        path: str,
        target: Target,
        upload: RequestBody | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Send a request and return its 2xx reply, or raise what the other outcome means."""
        async with self._response(
            method, path, target, upload or RequestBody(), headers=headers, query=query
        ) as response:
            return await self._checked(response, target)

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        target: Target,
        upload: RequestBody,
        *,
        headers: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[httpx.Response]:
        """Send a request; what goes wrong until its response is read is raised as what it means."""
        http, url = self._client(), self.settings.url(path, target.model)
        for name, value in query:
            url = url.copy_add_param(name, value)
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                async with http.stream(method, url, headers=headers, **upload.arguments()) as response:
                    note_request_id(response.headers)
                    if response.is_success and is_page(response.headers.get("content-type", "")):
                        raise error_of_page(target, response.status_code)
                    yield response
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as failure:
            raise error_of_failure(failure, target, upload_whole=upload.whole) from failure

    async def _checked(self, response: httpx.Response, target: Target) -> Reply:
        reply = await read_reply(response, target, self.settings)
        if not 200 <= reply.status < 300:
            raise error_of_reply(reply, target, datetime.now(UTC))
        return reply

    def _target(self, model: str = "") -> Target:
        return Target(self.settings.provider, model, self.settings.address)

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            headers: dict[str, Any] = {
                "Accept": "application/json",
                # A gzip body without its end would pass for whole.
                "Accept-Encoding": "identity",
                "User-Agent": "stenoflow",
            }
            headers |= self.settings.key_header
            self._http = open_http(
                self.settings.base_url,
                headers=headers,
                timeout=self.settings.timeout,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
                transport=self._transport,
            )
        return self._http


def _sent_at_once(reply: Reply, target: Target, on_text: Callable[[str], object]) -> ChatAnswer:
    answer = parse_chat(reply.body, target)
    if answer.text:
        on_text(answer.text)
    return answer
