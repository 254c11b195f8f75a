"""Dialects: how providers are asked for a transcription and how their answers read, one class each.

To add one: a class with `ask`, which says where a request goes and what is sent, and `read`, which makes
verbose_json of its answer (kept as the raw answer, so that nothing else needs to know), and its name in
`DIALECTS` and ``providers.py``. tests/api/test_dialects.py holds each against a server that speaks it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stenoflow.tasks.api import types as coerce
from stenoflow.tasks.api.models import Model
from stenoflow.tasks.api.providers import DialectName
from stenoflow.tasks.api.requests import TranscriptionRequest, form_fields, translation_fields
from stenoflow.tasks.api.types import load_json

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class AskedFor:
    """One request.

    Attributes:
        path: behind the base URL.
        fields: of the form; None: the sound itself is the body.
        query: of the address.
    """

    path: str
    fields: Pairs | None
    query: tuple[tuple[str, str], ...] = ()


class TranscriptionDialect(Protocol):
    """What differs from dialect to dialect."""

    def ask(self, request: TranscriptionRequest, model: Model, *, translate: bool) -> AskedFor:
        """Say where a request goes, and what is sent."""

    def read(self, body: bytes) -> bytes:
        """Return an answer as verbose_json; one that makes no sense stays as it is."""


class OpenAiDialect:
    """OpenAI's own, and of most others."""

    def ask(self, request: TranscriptionRequest, model: Model, *, translate: bool) -> AskedFor:
        """Send a form to audio/transcriptions or audio/translations."""
        if translate:
            return AskedFor("audio/translations", translation_fields(request, model))
        return AskedFor("audio/transcriptions", form_fields(request, model))

    def read(self, body: bytes) -> bytes:
        """Return it as it is."""
        return body


class WhisperCppDialect(OpenAiDialect):
    """whisper.cpp's server: one model, one endpoint, which is told to translate."""

    def ask(self, request: TranscriptionRequest, model: Model, *, translate: bool) -> AskedFor:
        """Send a form to inference."""
        fields = translation_fields(request, model) if translate else form_fields(request, model)
        known = {"response_format", "language", "prompt", "temperature"}
        sent = [(name, value) for name, value in fields if name in known]
        if not any(name == "language" for name, _ in sent):
            # Its own default is English.
            sent.append(("language", "auto"))
        return AskedFor("inference", [*sent, ("translate", "true")] if translate else sent)


_MOST_TERMS = 100
_NO_TERM = re.compile(r"[\s,]+")


class MistralDialect:
    """Mistral's: the language and times exclude each other, and times say more."""

    def ask(self, request: TranscriptionRequest, model: Model, *, translate: bool) -> AskedFor:
        """Send a form to audio/transcriptions; its fields are Mistral's."""
        del translate
        fields = [("model", request.model)]
        if model.timed:
            fields += [("timestamp_granularities", each) for each in model.granularities or ("segment",)]
        elif request.language or len(request.languages) == 1:
            fields.append(("language", request.language or request.languages[0]))
        fields += [("context_bias", term) for term in _terms(request.keywords)]
        if model.tells_speakers or (request.diarize and model.diarizes):
            fields.append(("diarize", "true"))
        if request.temperature is not None:
            fields.append(("temperature", f"{request.temperature:g}"))
        return AskedFor("audio/transcriptions", fields)

    def read(self, body: bytes) -> bytes:
        """Name the speakers of its segments, and the seconds that it counts."""
        parsed = _object(body)
        if parsed is None:
            return body
        segments = [
            {**each, "speaker": _speaker(each.get("speaker_id"))}
            if each.get("speaker_id") is not None
            else each
            for each in coerce.entries(parsed, "segments")
        ]
        usage = parsed.get("usage")
        seconds = usage.get("prompt_audio_seconds") if isinstance(usage, dict) else None
        whole = {**parsed, "segments": segments}
        if seconds is not None:
            whole["usage"] = {"type": "duration", "seconds": seconds}
        return json.dumps(whole, ensure_ascii=False).encode(errors="replace")


def _terms(keywords: Iterable[str]) -> list[str]:
    """Return a glossary as Mistral takes it: no blanks or commas in a term, and no more than 100."""
    terms = (_NO_TERM.sub("_", each.strip()).strip("_") for each in keywords)
    return list(dict.fromkeys(filter(None, terms)))[:_MOST_TERMS]


class DeepgramDialect:
    """Deepgram's: the sound is the body, all else stands in the address."""

    def ask(self, request: TranscriptionRequest, model: Model, *, translate: bool) -> AskedFor:
        """Send the sound to listen."""
        del translate
        spoken = request.languages or ((request.language,) if request.language else ())
        query = [("model", request.model), ("smart_format", "true"), ("utterances", "true")]
        if model.tells_speakers:
            query.append(("diarize", "true"))
        if len(spoken) == 1:
            query.append(("language", spoken[0]))
        else:
            query.append(("language", "multi") if spoken else ("detect_language", "true"))
        query += [("keyterm", each) for each in request.keywords]
        return AskedFor("listen", None, tuple(query))

    def read(self, body: bytes) -> bytes:
        """Return its first channel's best alternative, with its words and utterances."""
        parsed = _object(body)
        results = None if parsed is None else parsed.get("results")
        channels = coerce.entries(results, "channels") if isinstance(results, dict) else []
        if parsed is None or not isinstance(results, dict) or not channels:
            return body
        channel = channels[0]
        best: Mapping[str, Any] = next(iter(coerce.entries(channel, "alternatives")), {})
        words = [_deepgram_word(each) for each in coerce.entries(best, "words")]
        metadata = parsed.get("metadata")
        seconds = metadata.get("duration") if isinstance(metadata, dict) else None
        whole: dict[str, Any] = {
            "task": "transcribe",
            "language": channel.get("detected_language"),
            "languages": best.get("languages"),
            "duration": seconds,
            "text": best.get("transcript") or "",
            "segments": [
                {
                    "start": each.get("start"),
                    "end": each.get("end"),
                    "text": each.get("transcript"),
                    **_spoken_by(each),
                }
                for each in coerce.entries(results, "utterances")
            ],
            "words": words,
        }
        if seconds is not None:
            whole["usage"] = {"type": "duration", "seconds": seconds}
        return json.dumps(whole, ensure_ascii=False).encode(errors="replace")


def _deepgram_word(word: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: word[name] for name in ("start", "end", "confidence") if name in word}
    return {"word": word.get("punctuated_word") or word.get("word"), **kept, **_spoken_by(word)}


def _spoken_by(entry: Mapping[str, Any]) -> dict[str, str]:
    return {} if entry.get("speaker") is None else {"speaker": _speaker(entry["speaker"])}


def _speaker(said: object) -> str:
    """Return a speaker as OpenAI calls them: A, B, …; a name stays as it is."""
    text = str(said)
    digits = re.search(r"(?<!\d)\d{1,9}$", text)
    number = int(digits[0]) if digits else -1
    return chr(ord("A") + number) if 0 <= number < 26 else text


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = load_json(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


DIALECTS: Mapping[DialectName, TranscriptionDialect] = {
    "openai": OpenAiDialect(),
    "azure": OpenAiDialect(),
    "mistral": MistralDialect(),
    "deepgram": DeepgramDialect(),
    "whisper.cpp": WhisperCppDialect(),
}
