"""Receiving a transcription request: a multipart form of bounded size, its file on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from tasks.engine.problems import Problem, invalid
from tasks.engine.wishes import Wish, read_wish

LARGEST_BODY = 25 * 1024 * 1024
"""Bytes of a whole request, form fields included."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """A request to transcribe: the file lies at ``sound`` while the request is being answered."""

    wish: Wish
    sound: Path


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Transcription]:
    """Receive a request to transcribe; its file is deleted on leaving.

    Raises:
        Problem: the form is too large, or a field is missing or wrong.
    """
    async with Request(request.scope, _bounded(request)).form(max_files=1, max_fields=500) as form:
        wish = read_wish(form)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid("file", "The file to transcribe is missing", "missing_required_parameter")
        with TemporaryDirectory(prefix="stenoflow-engine-") as folder:
            sound = Path(folder, "upload")
            await _save(file, sound)
            yield Transcription(wish, sound)


def _bounded(request: Request) -> Receive:
    """Receive the body up to the limit, whatever Content-Length says of it."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > LARGEST_BODY:
        raise _too_large(int(declared))
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise _too_large(seen)
        return message

    return receive


def _too_large(size: int) -> Problem:
    message = f"Maximum content size limit ({LARGEST_BODY}) exceeded ({size} bytes read)"
    return Problem(413, message, code="content_too_large")


async def _save(file: UploadFile, target: Path) -> None:
    with target.open("wb") as saved:
        while block := await file.read(1024 * 1024):
            saved.write(block)
