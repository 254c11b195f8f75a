"""The ids that providers give to requests: their support asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# OpenAI's and most others', Deepgram's, Azure's, AWS's.
_HEADERS = ("x-request-id", "request-id", "dg-request-id", "apim-request-id", "x-amzn-requestid")
_MOST = 128
_collecting: ContextVar[list[str] | None] = ContextVar("request_ids", default=None)


@contextmanager
def collected_request_ids() -> Iterator[list[str]]:
    """Give the list into which the ids of all requests of the block go, in order."""
    ids: list[str] = []
    token = _collecting.set(ids)
    try:
        yield ids
    finally:
        _collecting.reset(token)


def note_request_id(headers: Mapping[str, str]) -> None:
    """Take down the id that a response names, if it names one."""
    ids = _collecting.get()
    given = next((headers[name] for name in _HEADERS if name in headers), None)
    if ids is not None and given:
        ids.append(given[:_MOST])
