"""The client of an OpenAI-compatible audio API. It calls once; `retrying` calls again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx

from tasks.audio_api.answers import Answer, parse_answer
from tasks.audio_api.catalogue import ListedModel, parse_catalogue
from tasks.audio_api.classification import error_of_failure, error_of_reply
from tasks.audio_api.errors import FormatRefusedError, VoicesRefusedError
from tasks.audio_api.exchange import Reply, Target
from tasks.audio_api.models import Model, ModelTable
from tasks.audio_api.reading import read_reply
from tasks.audio_api.requests import TranscriptionRequest, form_fields
from tasks.audio_api.settings import AudioApiSettings
from tasks.audio_api.upload import Upload


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
        models: ModelTable,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self._models = models
        self._transport = transport
        self._plain: set[str] = set()
        self._voiceless: set[str] = set()
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
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
        model = self._models.get(name)
        return model.plain() if name in self._plain else model

    async def transcribe(self, path: Path, request: TranscriptionRequest, *, duration_ms: int) -> Answer:
        """Send one segment and read the answer; one call, at most one of them charged.

        A server that refuses the richer format (free of charge) is asked for plain json, then and later; one
        that refuses the clips of who may speak is sent none.

        Args:
            path: the segment's file, read as it is sent.
            request: what is wanted.
            duration_ms: how long the segment is; the answer's times must lie inside.

        Raises:
            CallError: there is no usable answer; its class says what that means.
            OSError: the file cannot be opened.
        """
        model = self.model(request.model)
        if request.model in self._voiceless:
            request = replace(request, voices=())
        try:
            return await self._transcribe(path, request, model, duration_ms)
        except FormatRefusedError:
            if not model.timed:
                raise
            self._plain.add(request.model)
            return await self._transcribe(path, request, model.plain(), duration_ms)
        except VoicesRefusedError:
            if not request.voices:
                raise
            self._voiceless.add(request.model)
            return await self._transcribe(path, replace(request, voices=()), model, duration_ms)

    async def models(self) -> tuple[ListedModel, ...]:
        """Ask which models there are.

        Raises:
            CallError: there is no usable answer.
        """
        target = self._target()
        return parse_catalogue(await self._exchange("GET", "models", target), target)

    async def _transcribe(
        self, path: Path, request: TranscriptionRequest, model: Model, duration_ms: int
    ) -> Answer:
        target = self._target(request.model)
        with await asyncio.to_thread(path.open, "rb") as file:
            reply = await self._exchange(
                "POST", "audio/transcriptions", target, form_fields(request, model), file
            )
        return parse_answer(reply.body, target, duration_ms, reply.content_type)

    async def _exchange(
        self,
        method: str,
        path: str,
        target: Target,
        fields: Sequence[tuple[str, str]] = (),
        file: BinaryIO | None = None,
    ) -> Reply:
        """Send a request and return its 2xx reply, or raise what the other outcome means."""
        upload = Upload(fields, file)
        http = self._client()
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                async with http.stream(method, path, **upload.arguments()) as response:
                    reply = await read_reply(response, target, self.settings)
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as failure:
            raise error_of_failure(failure, target, upload_whole=upload.whole) from failure
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
            if self.settings.api_key is not None:
                headers["Authorization"] = f"Bearer {self.settings.api_key}"
            self._http = httpx.AsyncClient(
                base_url=self.settings.base_url,
                headers=headers,
                timeout=self.settings.timeout,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
                transport=self._transport,
            )
        return self._http
