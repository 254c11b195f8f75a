"""What the misbehaving audio API can do, by name.

``charged`` says whether a provider would have billed the call: it heard the audio, whatever became of
the answer. Gateway errors (502, 504, 520-524) stand for an origin that heard it.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from secrets import token_hex
from typing import Any

JSON = "application/json"


class Exchange:
    """One request being answered, down to the socket."""

    def __init__(
        self,
        handler: BaseHTTPRequestHandler,
        stopping: threading.Event,
        fields: tuple[tuple[str, str], ...] = (),
        ids: list[str] | None = None,
    ) -> None:
        self._handler = handler
        self._ids = ids
        self.stopping = stopping
        self.fields = fields
        self.heard: dict[str, Any] = {}

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    def answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole, well-formed response; a body that is not bytes goes as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": JSON, "Content-Length": str(len(sent)), **(headers or {})}
        if self._ids is not None:
            given["X-Request-Id"] = f"req_{token_hex(8)}"
            self._ids.append(given["X-Request-Id"])
        self.raw(_head(status, given) + sent)

    def raw(self, data: bytes) -> None:
        self._handler.wfile.write(data)

    def close(self) -> None:
        """End the connection in an orderly way."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """End it with a TCP reset."""
        self.close()
        linger = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.connection.close()


def _never(_: Exchange) -> bool:
    return False


def _always(_: Exchange) -> bool:
    return True


@dataclass(frozen=True)
class Mode:
    """One behaviour."""

    act: Callable[[Exchange], None]
    charged: Callable[[Exchange], bool] = _never
    hears: bool = False
    reads_body: bool = True


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def refuse(
    exchange: Exchange,
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with the API's error envelope."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    exchange.answer(status, {"error": error}, headers)


def shaped(exchange: Exchange) -> dict[str, Any]:
    """Return what was heard in the shape that the form asked for."""
    heard = exchange.heard
    wanted = exchange.field("response_format") or "json"
    if wanted == "json":
        return {key: heard[key] for key in ("text", "languages") if key in heard}
    if wanted == "diarized_json":
        return {key: heard[key] for key in ("task", "duration", "text", "segments") if key in heard}
    asked = {value for key, value in exchange.fields if key == "timestamp_granularities[]"} or {"segment"}
    keys = [key for key in heard if key not in {"words", "segments"}]
    keys += [key for key, name in (("segments", "segment"), ("words", "word")) if name in asked]
    return {key: heard[key] for key in keys if key in heard}


def _refusal(status: int, **details: Any) -> Mode:
    return Mode(lambda exchange: refuse(exchange, status, f"Refused with {status}.", **details))


def wrong_key(key: str | None) -> Mode:
    """Refuse a key, repeating it as some servers do."""
    message = f"Incorrect API key provided: {key}"
    return Mode(lambda exchange: refuse(exchange, 401, message, code="invalid_api_key"))


def _gateway_error(status: int) -> Mode:
    return Mode(lambda exchange: exchange.answer(status, b"<html></html>"), charged=_always)


def _slow_down(headers: Callable[[], Mapping[str, str]]) -> Mode:
    return Mode(lambda exchange: refuse(exchange, 429, "Slow down.", headers=headers()))


def _altered(change: Callable[[dict[str, Any]], object]) -> Mode:
    """Answer 200 with what was heard, changed."""

    def act(exchange: Exchange) -> None:
        exchange.answer(200, change(shaped(exchange)))

    return Mode(act, charged=_always, hears=True)


def _bytes(body: bytes, content_type: str = JSON) -> Mode:
    return Mode(lambda exchange: exchange.answer(200, body, {"Content-Type": content_type}), charged=_always)


def _words_at(*times: tuple[float, float]) -> Mode:
    words = [{"word": f"word{n}", "start": start, "end": end} for n, (start, end) in enumerate(times)]
    return _altered(lambda heard: {**heard, "words": words})


def _plain(exchange: Exchange) -> bool:
    return exchange.field("response_format") == "json"


def _refuse_verbose(exchange: Exchange) -> None:
    if _plain(exchange):
        exchange.answer(200, shaped(exchange))
    else:
        wanted = exchange.field("response_format")
        message = f"response_format '{wanted}' is not compatible with this model. Use 'json' instead."
        refuse(exchange, 400, message, code="unsupported_value", param="response_format")


GRANULARITIES = "timestamp_granularities[]"
# As a proxy puts the refusal of the server behind it.
WRAPPED = (
    "litellm.APIConnectionError: Hosted_vllmException - Error code: 400 - {'object': 'error', 'message':"
    " 'Currently only support response_format `text` or `json`', 'type': 'BadRequestError'}"
)


def _unless(wrong: Callable[[Exchange], bool], status: int, body: object) -> Mode:
    """Refuse a form with something wrong in it, free of charge; hear the others."""

    def act(exchange: Exchange) -> None:
        if wrong(exchange):
            exchange.answer(status, body)
        else:
            exchange.answer(200, shaped(exchange))

    return Mode(act, charged=lambda exchange: not wrong(exchange), hears=True)


def _envelope(message: str, **parts: Any) -> object:
    return {"error": {"message": message, "type": "invalid_request_error", **parts}}


def _detail(field: str, message: str) -> object:
    return {"detail": [{"type": "literal_error", "loc": ["body", field], "msg": message, "input": "x"}]}


def _names_times(exchange: Exchange) -> bool:
    return exchange.field(GRANULARITIES) is not None


def _wants_words(exchange: Exchange) -> bool:
    return (GRANULARITIES, "word") in exchange.fields


def _wants_times(exchange: Exchange) -> bool:
    return not _plain(exchange)


def _tells_language(exchange: Exchange) -> bool:
    return exchange.field("language") is not None or exchange.field("languages[]") is not None


def _refuse_voices(exchange: Exchange) -> None:
    if exchange.field("known_speaker_references[]") is None:
        exchange.answer(200, shaped(exchange))
    else:
        message = "Unsupported parameter: 'known_speaker_references' is not available for this organization."
        refuse(exchange, 400, message, code="unsupported_parameter", param="known_speaker_references")


def _has_no_voices(exchange: Exchange) -> bool:
    return exchange.field("known_speaker_references[]") is None


def _hang(exchange: Exchange) -> None:
    exchange.stopping.wait()
    exchange.close()


def _drip(exchange: Exchange) -> None:
    """Send a space now and then, so that no read timeout ever passes."""
    exchange.raw(_head(200, {"Content-Type": JSON, "Content-Length": "1000000"}))
    while not exchange.stopping.wait(0.02):
        exchange.raw(b" ")


def _huge(exchange: Exchange) -> None:
    exchange.raw(_head(200, {"Content-Type": JSON, "Content-Length": str(1 << 30)}))
    exchange.raw(b'{"text": "')
    piece = b"a" * (1 << 20)
    while not exchange.stopping.is_set():
        exchange.raw(piece)


def _half(exchange: Exchange, headers: Mapping[str, str]) -> None:
    body = json.dumps(shaped(exchange)).encode()
    told = {"Content-Type": JSON, **headers}
    exchange.raw(_head(200, told) + body[: len(body) // 2])
    exchange.close()


def _truncated(exchange: Exchange) -> None:
    _half(exchange, {"Content-Length": str(len(json.dumps(shaped(exchange)).encode()))})


def _broken_chunks(exchange: Exchange) -> None:
    exchange.raw(_head(200, {"Content-Type": JSON, "Transfer-Encoding": "chunked"}) + b"40\r\n{")
    exchange.close()


def _gzip_without_tail(exchange: Exchange) -> None:
    packed = gzip.compress(json.dumps(shaped(exchange)).encode())[:-12]
    exchange.answer(200, packed, {"Content-Encoding": "gzip"})


def _in_one_second() -> Mapping[str, str]:
    return {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)}


BILLING_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)

MODES: dict[str, Mode] = {
    "ok": _altered(lambda heard: heard),
    # Refused, free of charge.
    **{str(status): _refusal(status) for status in (400, 402, 403, 405, 408, 409, 413, 415, 422)},
    "401": _refusal(401, code="invalid_api_key"),
    "404-model": _refusal(404, code="model_not_found", param="model"),
    "404-html": Mode(lambda x: x.answer(404, b"<html>Not Found</html>", {"Content-Type": "text/html"})),
    "html-200": Mode(
        lambda x: x.answer(200, b"<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})
    ),
    "302": Mode(lambda x: x.answer(302, b"", {"Location": "https://example.invalid/"})),
    "refuses-voices": Mode(_refuse_voices, charged=_has_no_voices, hears=True),
    "refuses-verbose-json": Mode(_refuse_verbose, charged=_plain, hears=True),
    "refuses-words": _unless(_wants_words, 400, _envelope("Word timestamps are not supported.")),
    "422-words": _unless(
        _wants_words, 422, _detail("timestamp_granularities[]", "Input should be 'segment'")
    ),
    "422-granularities": _unless(_names_times, 422, _detail(GRANULARITIES, "Extra inputs are not permitted")),
    "422-format": _unless(_wants_times, 422, _detail("response_format", "Input should be 'json' or 'text'")),
    "500-format": _unless(_wants_times, 500, _envelope(WRAPPED, code="500")),
    "refuses-language": _unless(
        _tells_language, 400, _envelope("Invalid language.", param="language", code="invalid_language_format")
    ),
    "422-language": _unless(_tells_language, 422, _detail("language", "Input should be 'en', 'de' or 'jv'")),
    **{f"429-{code}": _refusal(429, code=code) for code in BILLING_CODES},
    "429": _slow_down(dict),
    "429-retry-after": _slow_down(lambda: {"Retry-After": "1"}),
    "429-retry-after-ms": _slow_down(lambda: {"retry-after-ms": "50"}),
    "429-retry-after-date": _slow_down(_in_one_second),
    "429-retry-after-nonsense": _slow_down(lambda: {"Retry-After": "soon, perhaps"}),
    "429-retry-after-zero": _slow_down(lambda: {"Retry-After": "0"}),
    "429-retry-after-a-day": _slow_down(lambda: {"Retry-After": "86400"}),
    # Nobody can tell.
    **{str(status): _refusal(status) for status in (500, 503, 529)},
    **{str(status): _gateway_error(status) for status in (502, 504, 520, 521, 522, 523, 524)},
    "reset-before-body": Mode(Exchange.reset, reads_body=False),
    "reset-after-body": Mode(Exchange.reset, charged=_always),
    "close-after-body": Mode(Exchange.close, charged=_always),
    "hang": Mode(_hang, charged=_always),
    "drip": Mode(_drip, charged=_always),
    "truncated": Mode(_truncated, charged=_always, hears=True),
    "broken-chunks": Mode(_broken_chunks, charged=_always),
    # 200, and no good.
    "ended-by-close": Mode(lambda exchange: _half(exchange, {}), charged=_always, hears=True),
    "gzip-without-tail": Mode(_gzip_without_tail, charged=_always, hears=True),
    "empty": _bytes(b""),
    "not-json": _bytes(b"The quick brown fox."),
    "json-list": _bytes(b"[]"),
    "error-200": _bytes(b'{"error": {"message": "the worker died"}}'),
    "no-text": _altered(lambda heard: {key: heard[key] for key in heard if key != "text"}),
    "nan-times": _words_at((0.0, 0.5), (float("nan"), 1.0)),
    "infinite-times": _words_at((0.0, float("inf"))),
    "backward-times": _words_at((0.0, 0.5), (8.0, 8.5), (3.0, 3.5)),
    "times-outside": _words_at((0.0, 0.5), (99_999.0, 99_999.5)),
    "huge": Mode(_huge, charged=_always),
    # 200, odd, and good enough.
    "words-null": _altered(lambda heard: {**heard, "words": None}),
    "no-segments": _altered(lambda heard: {key: heard[key] for key in heard if key != "segments"}),
    "duration-string": _altered(lambda heard: {**heard, "duration": str(heard.get("duration", "2.0"))}),
    "zero-times": _words_at((0.0, 0.0), (0.0, 0.0)),
    "text-only": _altered(lambda heard: {"text": heard["text"]}),
    "empty-text": _altered(lambda _: {"text": "", "segments": [], "words": []}),
    "repetition": _altered(lambda heard: {"text": " ".join([heard["text"]] * 200)}),
}
