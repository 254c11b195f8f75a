"""The sound of a recording, streamed in ranges from where it lies: a file, or an object of S3."""

from __future__ import annotations

import mimetypes
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from stenoflow.flows.desk.rendering import context_of
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.storage.errors import StorageError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.sources.fetch import copy_path
from stenoflow.tasks.sources.local import path_of
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
    path = _file(context, recording)
    if path is not None:
        return FileResponse(path, media_type=media_type(recording.name))
    if recording.source.startswith("s3://"):
        return _object(context, recording, request.headers.get("range"))
    raise HTTPException(404, _GONE)


def media_type(name: str) -> str:
    """Return the type by which a browser plays a recording; never one that it would show or run."""
    kind = _KINDS.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or ""
    return kind if kind.startswith(("audio/", "video/")) else "application/octet-stream"


def _file(context: AppContext, recording: Recording) -> Path | None:
    """Return where a recording lies on this machine: at its address, or as our own copy."""
    candidates = [copy_path(context.settings.work / "sources", recording.source, recording.version)]
    if recording.source.startswith("file://"):
        with suppress(RefusedError):
            candidates.insert(0, path_of(recording.source))
    for path in candidates:
        with suppress(OSError):
            facts = path.stat()
            if stat.S_ISREG(facts.st_mode) and facts.st_size == recording.bytes:
                return path
    return None


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
