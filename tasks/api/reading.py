"""Reading a response: never more than the cap, and an error's status whatever becomes of its body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx

from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.error_body import hint_for
from stenoflow.tasks.api.errors import BadAnswerError
from stenoflow.tasks.api.types import Reply, Target

_LARGEST_COMPLAINT_BYTES = 64 * 1024
_TIMEOUT_WITH_COMPLAINTS_S = 10.0


async def read_reply(response: httpx.Response, target: Target, settings: AudioApiSettings) -> Reply:
    """Read a response that is being streamed.

    Raises:
        BadAnswerError: a 2xx is larger than the settings allow.
        httpx.HTTPError: a 2xx broke off.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.is_success:
        return Reply(response.status_code, await _answer(response, target, settings), headers)
    body = await _complaint(response)
    if settings.api_key:
        # Some servers repeat the key that they refuse, and the body ends up in messages.
        body = body.replace(settings.api_key.encode(), b"(the key)")
    return Reply(response.status_code, body, headers)


async def read_lines(
    response: httpx.Response, target: Target, settings: AudioApiSettings
) -> AsyncIterator[str]:
    """Yield the lines of a response as they come; raises as above. Only where a line feed ends them."""
    left, size = b"", 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > settings.largest_answer_bytes:
            raise _too_large(response, target, settings)
        *lines, left = (left + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
    yield left.decode("utf-8", "replace")


async def _answer(response: httpx.Response, target: Target, settings: AudioApiSettings) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > settings.largest_answer_bytes:
            raise _too_large(response, target, settings)
    return bytes(body)


def _too_large(response: httpx.Response, target: Target, settings: AudioApiSettings) -> BadAnswerError:
    return BadAnswerError(
        f"{target} sent an answer of more than {settings.largest_answer_bytes} bytes",
        hint_for(BadAnswerError, target),
        response.status_code,
    )


async def _complaint(response: httpx.Response) -> bytes:
    """Read the start of an error's body; the status alone says enough to go on."""
    body = bytearray()
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT_WITH_COMPLAINTS_S):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_COMPLAINT_BYTES:
                    break
    return bytes(body[:_LARGEST_COMPLAINT_BYTES])
