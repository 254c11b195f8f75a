"""Types of the API's shapes, and the coercion of what other servers send in their place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic_core import from_json


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a call goes to; names it in messages.

    Attributes:
        provider: as in the price book.
        model: empty for calls that concern none.
        address: the base URL without credentials.
    """

    provider: str
    model: str = ""
    address: str = ""

    def __str__(self) -> str:
        """Return for instance ``whisper-1 at openai``."""
        return f"{self.model} at {self.provider}" if self.model else f"the API of {self.provider}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response, read whole.

    Attributes:
        headers: by lower-case name.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type as sent, or empty."""
        return self.headers.get("content-type", "")


_KEPT_CONTROLS = "\t\n\r"
# Thirty years: more is no length of anything.
LONGEST_S = 1e9
_MOST_DIGITS = 4_000


def entries(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list."""
    found = holder.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def written(holder: Mapping[str, Any], key: str) -> str:
    """Return a text, empty where there is none but blanks."""
    value = holder.get(key)
    return clean(value) if isinstance(value, str) and value.strip() else ""


def clean(text: str) -> str:
    """Drop what cannot be stored: control signs, and halves of surrogate pairs."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(sign for sign in whole if sign >= " " or sign in _KEPT_CONTROLS)


def seconds(value: object) -> float | None:
    """Return a number of seconds, given as a number or a string; may be NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def milliseconds(value: object) -> int | None:
    """Return a length given in seconds, in ms."""
    number = seconds(value)
    return round(number * 1_000) if number is not None and 0 <= number < LONGEST_S else None


def decimal(value: object) -> Decimal:
    """Return a number, given as a number or a string, exactly as written and of any size; 0 for no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return Decimal(0)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (ArithmeticError, ValueError):
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)


def score(value: object) -> float | None:
    """Return a finite number."""
    number = None if isinstance(value, str) else seconds(value)
    return number if number is not None and math.isfinite(number) else None


def count(value: object) -> int | None:
    """Return a whole number from 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def load_json(body: str | bytes, **given: Any) -> Any:
    """Parse JSON, and a number of any length: Python reads none of more than 4,300 digits.

    Raises:
        ValueError, RecursionError: it is none.
    """
    return json.loads(body, parse_int=_whole, **given)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def json_in(text: str) -> Any:
    """Parse from the first brace on; a model that was stopped midway has said something all the same.

    Returns:
        What was parsed, without a text that was cut short; None where there is nothing.
    """
    start = text.find("{")
    if start < 0:
        return None
    for end in (text.rfind("}") + 1, len(text)):
        try:
            return from_json(text[start:end], allow_partial=end == len(text))
        except (ValueError, RecursionError):
            continue
    return None
