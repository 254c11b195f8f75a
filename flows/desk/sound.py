"""The sound of a recording, streamed in ranges from where it lies: a file, or an object of S3."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stenoflow.flows.desk.rendering import context_of
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.sources.fetch import copy_path
from stenoflow.tasks.sources.local import open_recording, path_of
from stenoflow.tasks.sources.s3 import split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

_CHUNK_BYTES = 1 << 18
_GONE = "The recording is not where it was, or is another one now."
# What mimetypes does not know everywhere.
_KINDS = {".opus": "audio/ogg", ".m4a": "audio/mp4", ".weba": "audio/webm", ".flac": "audio/flac"}


def sound(request: Request) -> Response:
    """Answer with a recording's bytes, or with the range of them that is asked for."""
    context = context_of(request)
    try:
        job = context.catalog.job(request.path_params["job"])
    except StorageError:
        raise HTTPException(404, _GONE) from None
    return sound_of(context, job, request)


def sound_of(context: AppContext, job: Job, request: Request) -> Response:
    """Answer with the bytes of a job's recording, or with the range that a request asks for."""
    recording = context.catalog.recording(job.recording_id)
    for path in _places(context, recording):
        handle = open_recording(path, recording.sha256, recording.bytes)
        if handle is not None:
            return _OpenedFile(handle, media_type(recording.name))
    if recording.source.startswith("s3://"):
        return _object(context, recording, request.headers.get("range"))
    raise HTTPException(404, _GONE)


def media_type(name: str) -> str:
    """Return the type by which a browser plays a recording; never one that it would show or run."""
    kind = _KINDS.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or ""
    return kind if kind.startswith(("audio/", "video/")) else "application/octet-stream"


def _places(context: AppContext, recording: Recording) -> Iterator[Path]:
    """Yield where a recording may lie on this machine: at its address, or as our own copy."""
    if recording.source.startswith("file://"):
        with suppress(RefusedError):
            yield path_of(recording.source)
    yield copy_path(context.settings.work / "sources", recording.source, recording.version)


class _OpenedFile(FileResponse):
    """Answers with what is open, whatever stands at its name by now; closes it."""

    def __init__(self, handle: int, media_type: str) -> None:
        super().__init__(f"/dev/fd/{handle}", media_type=media_type)
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._handle)


def _object(context: AppContext, recording: Recording, range_: str | None) -> Response:
    bucket, key = split_uri(recording.source)
    asked: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
    if range_ is not None:
        asked["Range"] = range_
    try:
        answer: Any = context.s3().get_object(**asked)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 404)
        raise HTTPException(416 if status == 416 else 404, _GONE) from error
    except BotoCoreError as error:
        raise HTTPException(503, "The object store cannot be reached.") from error
    if recording.version is not None and answer.get("ETag", "").strip('"') != recording.version:
        answer["Body"].close()
        raise HTTPException(404, _GONE)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(answer["ContentLength"])}
    if answer.get("ContentRange"):
        headers["Content-Range"] = answer["ContentRange"]

    def chunks() -> Iterator[bytes]:
        with answer["Body"] as body:
            yield from body.iter_chunks(_CHUNK_BYTES)

    status = 206 if answer.get("ContentRange") else 200
    return StreamingResponse(chunks(), status, headers, media_type(recording.name))
