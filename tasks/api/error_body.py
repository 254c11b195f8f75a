"""Error bodies: read from a reply, cleared of secrets, with a hint at what the user can do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stenoflow.tasks.api import errors
from stenoflow.tasks.api.providers import EMBEDDED
from stenoflow.tasks.api.types import Target, load_json

_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Complaint:
    """The API's own words on what is wrong; every part may be empty.

    Attributes:
        text: one line, bounded.
        code: machine-readable, such as ``insufficient_quota``.
        param: the form field that is meant.
    """

    text: str = ""
    code: str = ""
    param: str = ""


def read_complaint(body: bytes) -> Complaint:
    """Read an error body: the API's envelope, ``detail``, ``err_msg``, a bare ``message``, one in another.

    HTML and the like say nothing that a user needs, and give an empty complaint.
    """
    try:
        return _read(load_json(body), _DEEPEST)
    except (ValueError, RecursionError):
        return Complaint()


_DEEPEST = 4


def _read(parsed: Any, depth: int) -> Complaint:
    match parsed:
        case {"error": dict(inner)} | {"detail": dict(inner)} | {"message": dict(inner)} if depth:
            return _read(inner, depth - 1)
        case {"error": str(text)} | {"detail": str(text)}:
            return Complaint(one_line(text))
        case {"err_msg": str(text)}:
            code = parsed.get("err_code")
            return Complaint(one_line(text), one_line(code) if isinstance(code, str) else "")
        case {"detail": [{"msg": str(text), **first}, *_]}:
            field = _field(first.get("loc"))
            return Complaint(one_line(f"{field}: {text}" if field else text), param=field)
        case dict():
            return _complaint(parsed)
    return Complaint()


def _field(place: Any) -> str:
    """Return the form field that FastAPI's ``loc`` names: ["body", "response_format"]."""
    names = [name for name in place if isinstance(name, str)] if isinstance(place, list) else []
    return one_line(names[-1]) if names and names[-1] != "body" else ""


def _complaint(envelope: dict[str, Any]) -> Complaint:
    def part(key: str) -> str:
        value = envelope.get(key)
        return one_line(value) if isinstance(value, str) else ""

    return Complaint(part("message"), part("code"), part("param"))


def one_line(text: str) -> str:
    """Return a text fit for a message: one line, printable, bounded, no URL in it lets anybody in."""
    flat = without_queries("".join(sign for sign in " ".join(text.split()) if sign.isprintable()))
    return flat if len(flat) <= _LONGEST_TEXT else flat[: _LONGEST_TEXT - 1] + "…"


_HINTS: dict[type[errors.CallError], str] = {
    errors.UnreachableError: "check the network and OPENAI_BASE_URL",
    errors.UploadCutError: "nothing was charged; try again, on a steadier connection if it comes back",
    errors.RateLimitedError: "lower --concurrency, or resume later",
    errors.CertificateError: "check OPENAI_BASE_URL; for a certificate of your own set SSL_CERT_FILE",
    errors.KeyRefusedError: "check OPENAI_API_KEY, and that the key may use this model",
    errors.ModelNotFoundError: (
        "either {provider} has no model {model}: check --model; or {address} is not the API's address:"
        " OPENAI_BASE_URL usually ends in /v1"
    ),
    errors.WrongAddressError: "{address} is not the API's address: OPENAI_BASE_URL usually ends in /v1",
    errors.NotTranslatedError: "it transcribes all the same: without --translate there is a transcript",
    errors.BillingStoppedError: "add credit or raise the limit at {provider}, then resume",
    errors.SegmentRefusedError: "the other segments go on; resume tries this one again",
    errors.SegmentTooLargeError: "choose a smaller --segment-seconds",
    errors.ContextExceededError: 'say its context in stenoflow.toml: [chat_models."{model}"] context = …',
    errors.UnknownOutcomeError: "it may have been charged, and is recorded so; resume tries again",
    errors.BadAnswerError: "it was probably charged, and is recorded so; resume tries again",
}


def hint_for(kind: type[errors.CallError], target: Target) -> str:
    """Return the hint of an error class, or of the nearest class above it."""
    if target.provider == EMBEDDED and issubclass(kind, errors.ModelNotFoundError):
        # The engine says itself what to do, and its address is nowhere.
        return ""
    text = next((_HINTS[known] for known in kind.__mro__ if known in _HINTS), "")
    return text.format(provider=target.provider, model=target.model or "of that name", address=target.address)


# Scheme, credentials, host and path, query or fragment: a presigned URL's query lets anybody in.
_URL = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)
# What a local server takes for a key may be a word of any text.
_SHORTEST_SECRET = 8
_GONE = "***"


def without_queries(text: str) -> str:
    """Return a text whose http(s) URLs have neither query nor credentials."""
    return _URL.sub(r"\1\2", text)


class Redaction:
    """Takes given secrets, and the queries and credentials of all http(s) URLs, out of JSON."""

    def __init__(self, secrets: Iterable[str | None]) -> None:
        self._secrets = [secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET]

    def clean(self, value: Any) -> Any:
        """Return the value with all of its texts cleaned; keys of objects are ours, and stay."""
        match value:
            case str():
                return self._text(value)
            case dict():
                return {key: self.clean(each) for key, each in value.items()}
            case list() | tuple():
                return [self.clean(each) for each in value]
        return value

    def _text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _GONE)
        return without_queries(text)
