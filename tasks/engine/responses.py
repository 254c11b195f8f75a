"""The replies of the engine in the formats of the API: transcripts, chat, and events of a stream."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pysubs2
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from stenoflow.tasks.artifacts.verbose_json import segment_entry, word_entry
from stenoflow.tasks.engine.request_schema import ChatForm, Format, Granularity, TranscriptionForm
from stenoflow.tasks.transcript.languages import NAME_OF
from stenoflow.tasks.transcript.timecode import seconds
from stenoflow.tasks.transcript.types import Utterance


@dataclass(frozen=True, slots=True)
class EngineTranscript:
    """The transcript of an upload.

    Attributes:
        language: ISO 639-1 code.
        duration_ms: of the upload.
        utterances: in order; their texts begin with the space that sets them apart.
        is_translation: whether it is in another language than what was said.
    """

    language: str
    duration_ms: int
    utterances: Sequence[Utterance]
    is_translation: bool = False

    @property
    def text(self) -> str:
        """The text as a whole."""
        return "".join(utterance.text for utterance in self.utterances).strip()


def answer_transcription(transcript: EngineTranscript, form: TranscriptionForm) -> Response:
    """Answer in the format that was asked for."""
    match form.format:
        case Format.JSON:
            body: dict[str, Any] = {"text": transcript.text, "usage": usage(transcript.duration_ms)}
            if form.logprobs:
                body["logprobs"] = logprob_entries(transcript.utterances)
            return JSONResponse(body)
        case Format.VERBOSE_JSON:
            return JSONResponse(verbose(transcript, form.granularities))
        case Format.TEXT:
            return PlainTextResponse(transcript.text + "\n")
        case Format.SRT | Format.VTT:
            return PlainTextResponse(subtitles(transcript.utterances, form.format))


_SMALLEST_PROBABILITY = 1e-10


def logprob_entries(utterances: Iterable[Utterance]) -> list[dict[str, Any]]:
    """List how sure the model is of each word, as OpenAI lists tokens."""
    return [
        {
            "token": f" {word.text}",
            "logprob": round(math.log(max(_SMALLEST_PROBABILITY, word.confidence)), 4),
            "bytes": list(f" {word.text}".encode()),
        }
        for utterance in utterances
        for word in utterance.words
        if word.confidence is not None
    ]


def usage(duration_ms: int) -> dict[str, Any]:
    """Count what would be charged: whole seconds, rounded up."""
    return {"type": "duration", "seconds": math.ceil(duration_ms / 1000)}


def verbose(transcript: EngineTranscript, granularities: frozenset[Granularity]) -> dict[str, Any]:
    """Make the body of verbose_json; segments unless only words are asked for, as OpenAI does."""
    body: dict[str, Any] = {
        "task": "translate" if transcript.is_translation else "transcribe",
        "language": NAME_OF.get(transcript.language, transcript.language),
        "duration": seconds(transcript.duration_ms),
        "text": transcript.text,
    }
    if granularities != {Granularity.WORD}:
        body["segments"] = [segment_entry(index, each) for index, each in enumerate(transcript.utterances)]
    if Granularity.WORD in granularities:
        body["words"] = [word_entry(word) for each in transcript.utterances for word in each.words]
    return body | {"usage": usage(transcript.duration_ms)}


def subtitles(utterances: Sequence[Utterance], form: Format) -> str:
    """Make one cue of each utterance, in SubRip or WebVTT."""
    file = pysubs2.SSAFile()
    for utterance in utterances:
        cue = pysubs2.SSAEvent(start=utterance.start_ms, end=utterance.end_ms)
        cue.plaintext = utterance.text.strip()
        file.append(cue)
    # Without keep_ssa_tags a text in braces would be taken for markup and dropped.
    return file.to_string(form.value, keep_ssa_tags=True)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The text of a reply, which is JSON for minutes, and why it ends."""

    text: str
    finish_reason: str = "stop"


def answer_chat(form: ChatForm, model: str, reply: ChatReply) -> Response:
    """Answer a request to chat, whole or as events; tokens are words here."""
    written = len(reply.text.split())
    usage = {
        "prompt_tokens": form.prompt_words,
        "completion_tokens": written,
        "total_tokens": form.prompt_words + written,
    }
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
    if form.stream:
        head["object"] = "chat.completion.chunk"
        events = _chat_events(head, reply, usage if form.include_usage else None)
        return StreamingResponse(events, media_type="text/event-stream")
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    return JSONResponse(head | {"object": "chat.completion", "choices": [choice], "usage": usage})


def _chat_events(head: dict[str, Any], reply: ChatReply, usage: dict[str, int] | None) -> Iterator[str]:
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in re.findall(r"\s*\S+", reply.text)]
    for delta in (*deltas, {}):
        finish_reason = None if delta else reply.finish_reason
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        yield server_sent_event(head | {"choices": [choice]})
    if usage is not None:
        yield server_sent_event(head | {"choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def server_sent_event(data: object) -> str:
    """Write data as one event of a stream."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
