"""Reading a request whose body is JSON: of bounded size, field by field."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from starlette.requests import Request

from tasks.engine.problems import Problem, invalid

Body = dict[str, Any]


async def read_body(request: Request, most: int) -> Body:
    """Receive a JSON object of at most ``most`` bytes.

    Raises:
        Problem: it is larger, or no JSON object.
    """
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise Problem(413, f"The request is larger than {most} bytes", code="content_too_large")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body of the request is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, "The body of the request must be a JSON object")
    return body


def text_field(body: Body, name: str) -> str:
    """Return a field that must be there, and text.

    Raises:
        Problem: it is missing, empty or no text.
    """
    value = body.get(name)
    if value is None or value == "":
        raise invalid(name, f"You must provide {name}", "missing_required_parameter")
    if not isinstance(value, str):
        raise invalid(name, f"{name} must be a string", "invalid_type")
    return value


def number_field(body: Body, name: str, default: float, least: float, most: float) -> float:
    """Return a number within its bounds.

    Raises:
        Problem: it is none, or outside them.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise invalid(name, f"{name} must be a number", "invalid_type")
    if not least <= value <= most:
        raise invalid(name, f"{name} is {value:g}; it must be from {least:g} to {most:g}")
    return float(value)
