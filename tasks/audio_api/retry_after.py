"""How long an answer asks us to wait, in each of the forms that servers use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait in seconds, or None where nothing sensible is said.

    Args:
        headers: by lower-case name; ``retry-after-ms`` goes before ``retry-after``, which holds
            seconds or an HTTP date.
        now: with its timezone; what a date is measured from.
    """
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1_000
    told = headers.get("retry-after")
    seconds = _number(told)
    return seconds if seconds is not None else _until(told, now)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())
