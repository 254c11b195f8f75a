"""Servers that speak the dialects of transcription, by their references, on real loopback sockets.

Each refuses what the real one refuses, so that a request which it takes is one of its dialect.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from python_multipart import parse_form

Json = dict[str, Any]
Answer = tuple[int, Json]


@dataclass(frozen=True)
class Sent:
    """One request as it came."""

    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    fields: tuple[tuple[str, str], ...] = ()
    document: Json = field(default_factory=dict)
    sound: bytes = b""

    def values(self, name: str) -> list[str]:
        """Return all values of a field of the form."""
        return [value for key, value in self.fields if key == name]


WORDS = [{"word": "Good", "start": 0.1, "end": 0.4}, {"word": "morning.", "start": 0.5, "end": 0.9}]
SEGMENTS = [{"id": 0, "start": 0.0, "end": 1.0, "text": " Good morning."}]
VERBOSE: Json = {
    "task": "transcribe",
    "language": "english",
    "duration": 1.0,
    "text": "Good morning.",
    "segments": SEGMENTS,
    "words": WORDS,
}
LIST: Json = {"object": "list", "data": [{"id": "whisper-1", "shutdown_date": "2027-02-26"}]}
CHAT: Json = {"choices": [{"message": {"role": "assistant", "content": "Nine."}, "finish_reason": "stop"}]}


def _openai(sent: Sent) -> Answer:
    if sent.headers.get("authorization") != "Bearer key-1":
        return 401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    if sent.path == "/v1/chat/completions":
        return 200, CHAT
    return (200, VERBOSE) if sent.path == "/v1/audio/transcriptions" else _unknown(sent)


def _groq(sent: Sent) -> Answer:
    return _openai(Sent(sent.path.removeprefix("/openai"), (), sent.headers, sent.fields))


def _azure(sent: Sent) -> Answer:
    if sent.headers.get("api-key") != "key-1":
        return 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}}
    if dict(sent.query).get("api-version") is None:
        return 404, {"error": {"code": "404", "message": "Resource not found"}}
    if sent.path == "/openai/deployments/my-gpt/chat/completions":
        return 200, CHAT
    known = sent.path == "/openai/deployments/my-whisper/audio/transcriptions"
    return (200, VERBOSE) if known else (404, {"error": {"code": "DeploymentNotFound", "message": "none"}})


def _azure_v1(sent: Sent) -> Answer:
    if sent.headers.get("api-key") != "key-1":
        return 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}}
    if sent.query or sent.path != "/openai/v1/audio/transcriptions":
        return _unknown(sent)
    return (200, VERBOSE) if sent.values("model") == ["my-whisper"] else (404, {"error": {"message": "none"}})


def _mistral(sent: Sent) -> Answer:
    known = {"model", "language", "timestamp_granularities", "context_bias", "diarize", "temperature"}
    if sent.values("language") and sent.values("timestamp_granularities"):
        return 422, {"detail": [{"loc": ["body", "language"], "msg": "cannot be used with timestamps"}]}
    if others := {name for name, _ in sent.fields} - known:
        return 422, {"detail": [{"loc": ["body", min(others)], "msg": "Extra inputs are not permitted"}]}
    if any(" " in term or "," in term for term in sent.values("context_bias")):
        return 422, {"detail": [{"loc": ["body", "context_bias"], "msg": "no blanks or commas"}]}
    segments = [{"text": "Good morning.", "start": 0.1, "end": 0.9, "speaker_id": "speaker_1"}]
    return 200, {
        "model": "voxtral-mini-2602",
        "text": "Good morning.",
        "language": "en",
        "segments": segments,
        "usage": {"prompt_audio_seconds": 1, "prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 13},
    }


def _deepgram(sent: Sent) -> Answer:
    if sent.headers.get("authorization") != "Token key-1":
        return 401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "1"}
    if sent.path != "/v1/listen" or not sent.sound:
        return 400, {"err_code": "Bad Request", "err_msg": "Bad Request: no audio", "request_id": "1"}
    words = [
        {"word": word.lower().strip("."), "punctuated_word": word, "start": start, "end": end, "speaker": 1}
        for word, start, end in (("Good", 0.1, 0.4), ("morning.", 0.5, 0.9))
    ]
    spoken = {"start": 0.1, "end": 0.9, "channel": 0, "transcript": "Good morning.", "words": words}
    best = {"transcript": "Good morning.", "confidence": 0.98, "words": words}
    return 200, {
        "metadata": {"request_id": "1", "duration": 1.25, "channels": 1, "models": ["nova-3"]},
        "results": {
            "channels": [{"alternatives": [best], "detected_language": "en", "language_confidence": 0.9}],
            "utterances": [{**spoken, "speaker": 1, "id": "1"}],
        },
    }


def _vllm(sent: Sent) -> Answer:
    if sent.values("response_format") == ["verbose_json"] and sent.values("timestamp_granularities[]") != [
        "segment"
    ]:
        return 400, {"error": {"message": "timestamp_granularities: only segment is supported", "code": 400}}
    return 200, {**VERBOSE, "words": None, "duration": "1.0"}


def _speaches(_: Sent) -> Answer:
    return 200, {**VERBOSE, "words": None}


def _litellm(sent: Sent) -> Answer:
    if sent.path == "/v1/chat/completions":
        return 200, CHAT
    if sent.values("response_format") != ["json"]:
        text = "litellm.BadRequestError: OpenAIException - response_format 'verbose_json' is not compatible"
        return 500, {"error": {"message": text, "type": None, "param": None, "code": "500"}}
    return 200, {"text": "Good morning."}


def _whisper_cpp(sent: Sent) -> Answer:
    if sent.path != "/inference":
        return _unknown(sent)
    segments = [{**SEGMENTS[0], "words": WORDS}]
    return 200, {key: VERBOSE[key] for key in ("task", "language", "duration", "text")} | {
        "segments": segments
    }


def _unknown(sent: Sent) -> Answer:
    return 404, {"error": {"message": f"Invalid URL (POST {sent.path})", "type": "invalid_request_error"}}


SERVERS: dict[str, tuple[str, Callable[[Sent], Answer]]] = {
    "openai": ("/v1", _openai),
    "azure": ("", _azure),
    "azure-v1": ("/openai/v1", _azure_v1),
    "groq": ("/openai/v1", _groq),
    "mistral": ("/v1", _mistral),
    "deepinfra": ("/v1", _openai),
    "openrouter": ("/v1", _openai),
    "litellm": ("/v1", _litellm),
    "vllm": ("/v1", _vllm),
    "speaches": ("/v1", _speaches),
    "localai": ("/v1", _speaches),
    "whisper.cpp": ("", _whisper_cpp),
    "deepgram": ("/v1", _deepgram),
}
"""Each with the path behind its address."""


@contextmanager
def dialect_server(name: str) -> Iterator[tuple[str, list[Sent]]]:
    """Serve a dialect until the block ends; gives the base URL, and what came."""
    path, answer = SERVERS[name]
    came: list[Sent] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            sent = _read(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            came.append(sent)
            status, document = (200, LIST) if self.command == "GET" else answer(sent)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{path}", came
    finally:
        server.shutdown()
        server.server_close()


def _read(address: str, headers: dict[str, str], body: bytes) -> Sent:
    url = urlsplit(address)
    query = tuple(parse_qsl(url.query))
    content = headers.get("content-type", "")
    if content.startswith("application/json"):
        return Sent(url.path, query, headers, document=json.loads(body))
    if not content.startswith("multipart/form-data"):
        return Sent(url.path, query, headers, sound=body)
    fields: list[tuple[str, str]] = []
    sounds: list[bytes] = []

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        sounds.append(file.file_object.read())
        file.close()

    parse_form(
        {"Content-Type": content.encode()},
        io.BytesIO(body),
        lambda each: fields.append(((each.field_name or b"").decode(), (each.value or b"").decode())),
        on_file,
    )
    return Sent(url.path, query, headers, tuple(fields), sound=b"".join(sounds))
