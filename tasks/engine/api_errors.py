"""Errors of the engine as HTTP replies: a status, and the error body that OpenAI's clients read."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ExceptionHandler

from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.errors import MediaError, ModelUnavailableError, RefusedError

_log = logging.getLogger(__name__)


class ApiErrorReply(Exception):  # noqa: N818 - it is an answer before it is an error
    """An error that a request is answered with.

    Args:
        status: of HTTP.
        message: what is wrong with what.
        param: the field that is wrong.
        code: for programs.
        kind: the API's ``type`` of error.
        retry_after_s: when to try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        *,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(status, message, param, code, kind, retry_after_s)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind
        self.headers = None if retry_after_s is None else {"Retry-After": str(retry_after_s)}

    @property
    def envelope(self) -> dict[str, dict[str, str | None]]:
        """The body of the answer."""
        inner = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": inner}


def invalid(param: str, message: str, code: str = "invalid_value") -> ApiErrorReply:
    """Make the error of a field that is missing or wrong."""
    return ApiErrorReply(400, message, param, code)


def api_error_of(error: Exception) -> ApiErrorReply:
    """Convert any error into a reply."""
    match error:
        case ApiErrorReply():
            return error
        case ModelUnavailableError():
            return ApiErrorReply(404, str(error), "model", "model_not_found")
        case RefusedError() | MediaError():
            return ApiErrorReply(
                400, f"The audio file could not be decoded: {error}", "file", "invalid_audio"
            )
        case HTTPException(status_code=status, detail=detail):
            return ApiErrorReply(status, detail)
        case StenoflowError():
            return ApiErrorReply(500, str(error), kind="server_error")
    _log.error("the embedded engine failed", exc_info=error)
    return ApiErrorReply(500, "The embedded engine failed; its log says more.", kind="server_error")


def answer_api_error(error: Exception) -> JSONResponse:
    """Answer a request with its error."""
    reply = api_error_of(error)
    return JSONResponse(reply.envelope, status_code=reply.status, headers=reply.headers)


async def _handle(_: Request, error: Exception) -> JSONResponse:
    return answer_api_error(error)


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    ApiErrorReply: _handle,
    StenoflowError: _handle,
    HTTPException: _handle,
    Exception: _handle,
}
"""The handlers that Starlette calls."""
