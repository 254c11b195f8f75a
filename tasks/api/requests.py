"""A transcription request as a form, and its upload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stenoflow.tasks.api.models import Model
from stenoflow.tasks.transcript.quality import HEADING


@dataclass(frozen=True, slots=True)
class SpeakerReference:
    """Someone who may speak: what to call them, and a short clip of them as a data URL."""

    name: str
    clip: str


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One transcription as the user wants it; what a model cannot take is left away.

    Attributes:
        model: its name at the provider.
        language: ISO 639-1 code; None: the model finds out.
        languages: several that may be spoken; one alone counts like ``language``.
        prompt: text that sets the style or goes before.
        keywords: names and terms that are likely to be said.
        temperature: 0 to 1; None: the provider's default.
        voices: who may speak, at most four.
        diarize: speakers are to be told apart.
    """

    model: str
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float | None = None
    voices: tuple[SpeakerReference, ...] = ()
    diarize: bool = False

    @property
    def hints(self) -> str:
        """All that the model is told beforehand, as it stands in the prompt where it takes no keywords."""
        glossary = f"{HEADING}: {', '.join(self.keywords)}." if self.keywords else ""
        return " ".join(part for part in (glossary, self.prompt) if part)


def translation_fields(request: TranscriptionRequest, model: Model) -> list[tuple[str, str]]:
    """Return the form fields of a request for a translation, which takes fewer."""
    fields = [("model", request.model), ("response_format", model.response_format)]
    if model.prompt and request.hints:
        fields.append(("prompt", request.hints))
    if request.temperature is not None:
        fields.append(("temperature", f"{request.temperature:g}"))
    return fields


def form_fields(request: TranscriptionRequest, model: Model) -> list[tuple[str, str]]:
    """Return the form fields of a request, the file excepted, in the names that the model knows."""
    fields = [("model", request.model), ("response_format", model.response_format)]
    fields += _language_fields(request, model)
    fields += _hint_fields(request, model)
    if request.temperature is not None:
        fields.append(("temperature", f"{request.temperature:g}"))
    if model.response_format == "verbose_json":
        # Asking for words alone drops the segments, so each is asked for by name.
        fields += [("timestamp_granularities[]", known) for known in model.granularities]
    if model.chunking_strategy is not None:
        fields.append(("chunking_strategy", model.chunking_strategy))
    if model.tells_speakers:
        fields += [("known_speaker_names[]", voice.name) for voice in request.voices]
        fields += [("known_speaker_references[]", voice.clip) for voice in request.voices]
    return fields


def _language_fields(request: TranscriptionRequest, model: Model) -> list[tuple[str, str]]:
    spoken = request.languages or ((request.language,) if request.language else ())
    if model.languages:
        return [("languages[]", code) for code in spoken]
    # A single `language` would be wrong for the others: then the model finds out by itself.
    return [("language", spoken[0])] if model.language and len(spoken) == 1 else []


def _hint_fields(request: TranscriptionRequest, model: Model) -> list[tuple[str, str]]:
    if model.keywords:
        fields = [("keywords[]", word) for word in request.keywords]
        return fields + ([("prompt", request.prompt)] if model.prompt and request.prompt else [])
    # Whisper reads the last 224 tokens only: what goes before is what the user wrote, so it stands last.
    return [("prompt", request.hints)] if model.prompt and request.hints else []


class RequestBody:
    """A form with one file, streamed from disk; or a document; or bare sound; or nothing.

    Args:
        fields: names and values; a name may come several times.
        file: open for reading in binary; None for calls without a form.
        document: what is sent as JSON.
        body: sound that is sent as it is, without a form.
    """

    def __init__(
        self,
        fields: Sequence[tuple[str, str]] = (),
        file: BinaryIO | None = None,
        document: Mapping[str, Any] | None = None,
        body: bytes | None = None,
    ) -> None:
        self._fields = fields
        self._file = file
        self._document = document
        self._body = body
        self.whole = True
        """False from the moment that sending begins until the body's last byte is handed over.

        A transport that reports nothing (ASGI) leaves it True: then the outcome counts as unknown.
        """

    def arguments(self) -> dict[str, Any]:
        """Return what ``httpx.AsyncClient.stream`` needs for it."""
        arguments: dict[str, Any] = {"extensions": {"trace": self._follow}}
        if self._document is not None:
            arguments["json"] = self._document
        if self._body is not None:
            arguments["content"] = self._body
        if self._file is not None:
            # A name of ours: servers tell the codec by the ending, and the recording's title is not theirs.
            name = f"segment{Path(str(self._file.name)).suffix or '.mp3'}"
            # A value without a file name is an ordinary field; given so, repeated ones keep their order.
            arguments["files"] = [
                *((field, (None, value)) for field, value in self._fields),
                ("file", (name, self._file, "audio/mpeg")),
            ]
        return arguments

    async def _follow(self, event: str, _info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.started", "send_request_headers.started")):
            self.whole = False
        elif event.endswith("send_request_body.complete"):
            self.whole = True
