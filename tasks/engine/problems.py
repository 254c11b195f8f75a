"""Errors as the API puts them: a status, and an envelope that clients know how to read."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ExceptionHandler

from storage.errors import StenoflowError
from tasks.engine.errors import ModelUnavailableError
from tasks.errors import MediaError, RefusedError

_log = logging.getLogger(__name__)


class Problem(Exception):  # noqa: N818 - it is an answer before it is an error
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        message: what is wrong with what.
        param: the field that is to blame.
        code: for programs.
        kind: the API's ``type`` of error.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(status, message, param, code, kind)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind

    @property
    def envelope(self) -> dict[str, dict[str, str | None]]:
        """The body of the answer."""
        inner = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": inner}


def invalid(param: str, message: str, code: str = "invalid_value") -> Problem:
    """Make the problem of a field that is missing or wrong."""
    return Problem(400, message, param, code)


def problem_of(error: Exception) -> Problem:
    """Say any error in the API's terms."""
    match error:
        case Problem():
            return error
        case ModelUnavailableError():
            return Problem(404, str(error), "model", "model_not_found")
        case RefusedError() | MediaError():
            return Problem(400, f"The audio file could not be decoded: {error}", "file", "invalid_audio")
        case HTTPException(status_code=status, detail=detail):
            return Problem(status, detail)
        case StenoflowError():
            return Problem(500, str(error), kind="server_error")
    _log.error("the embedded engine failed", exc_info=error)
    return Problem(500, "The embedded engine failed; its log says more.", kind="server_error")


def answer_problem(error: Exception) -> JSONResponse:
    """Answer a request with its error."""
    problem = problem_of(error)
    return JSONResponse(problem.envelope, status_code=problem.status)


async def _handle(_: Request, error: Exception) -> JSONResponse:
    return answer_problem(error)


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    Problem: _handle,
    StenoflowError: _handle,
    HTTPException: _handle,
    Exception: _handle,
}
"""What Starlette calls for each error."""
