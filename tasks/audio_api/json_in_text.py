"""The JSON in what a chat model wrote: perhaps in a fence or among other words, perhaps cut short."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json


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
