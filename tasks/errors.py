"""The errors of the steps; the root of the tree and its rules are in `stenoflow.storage.errors`.

StenoflowError
├── SettingsError                   exit 2: bad usage or settings
├── RefusedError                    exit 4: refused before any money was spent (a budget: `BudgetError` there)
│   ├── SourceNotFoundError         "not-found"
│   ├── SourceUnreadableError       "unreadable": no permission, a FIFO, gone meanwhile
│   ├── NotAudioError               "not-audio"
│   ├── TooLongError                "too-long"
│   ├── TooShortError               "too-short"
│   └── EmptyTranscriptError        "nothing-to-digest"
└── FailedError                     exit 3
    ├── StoppedError                "interrupted"
    ├── StaleError                  "stale": the transcript has changed under its minutes
    ├── MediaError                  "media": ffmpeg failed midway
    ├── EngineError                 "engine": the embedded engine failed
    │   └── ModelUnavailableError   "engine-model": not installed, or it cannot be loaded
    └── ApiError                    "api"; its branches are in `stenoflow.tasks.api.errors`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stenoflow.storage.errors import StenoflowError


class SettingsError(StenoflowError):
    """A setting or an option has a value that cannot be used."""

    exit_code = 2
    kind = "settings"


class RefusedError(StenoflowError):
    """A recording was refused before any money was spent on it."""

    exit_code = 4
    kind = "refused"


class SourceNotFoundError(RefusedError):
    """There is nothing at the source's address."""

    kind = "not-found"


class SourceUnreadableError(RefusedError):
    """There is something, but it cannot be read."""

    kind = "unreadable"


class SourceOutOfReachError(SourceUnreadableError):
    """The server that has it does not answer; it may later."""

    kind = "out-of-reach"


class NotAudioError(RefusedError):
    """The source holds no sound that can be decoded."""

    kind = "not-audio"
    lies_in_recording = True


class TooLongError(RefusedError):
    """The recording is longer or larger than the settings allow."""

    kind = "too-long"
    lies_in_recording = True


class TooShortError(RefusedError):
    """The recording is too short for a word, and for the API."""

    kind = "too-short"


class FailedError(StenoflowError):
    """A step failed; what was obtained before it is kept."""

    exit_code = 3
    kind = "failed"


class StoppedError(FailedError):
    """The user stopped it before its end."""

    kind = "interrupted"


class MediaError(FailedError):
    """Decoding or encoding failed midway."""

    kind = "media"
    lies_in_recording = True


class ApiError(FailedError):
    """The audio API did not give a usable answer."""

    kind = "api"


class EngineError(FailedError):
    """The embedded engine could not do its work."""

    kind = "engine"


class ModelUnavailableError(EngineError):
    """A model of the embedded engine is not installed, or cannot be loaded."""

    kind = "engine-model"


class EmptyTranscriptError(RefusedError):
    """There is no transcript to make minutes of."""

    kind = "nothing-to-digest"
    lies_in_recording = True


class StaleError(FailedError):
    """The transcript is not the one any more that a digest is of."""

    kind = "stale"


_REASONS = {
    "bool": "it must be true or false",
    "date": "it must be a date, such as 2026-11-28",
    "datetime": "it must be a time, such as 2026-11-28T08:00:00",
    "decimal": "it must be a number",
    "dict": "it must be a table",
    "enum": "it must be {expected}",
    "extra": "there is none of this name",
    "finite": "it must be a number",
    "float": "it must be a number",
    "frozen": "it must be a list",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "int": "it must be a whole number",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "list": "it must be a list",
    "literal": "it must be {expected}",
    "mapping": "it must be a table",
    "missing": "it is missing",
    "model": "it must be a table",
    "path": "it must be the path of a file or folder",
    "set": "it must be a list",
    "string": "it must be a text",
    "string_pattern_mismatch": "it may not have such characters",
    "string_too_long": "it may have {max_length} characters",
    "string_too_short": "it must have {min_length} characters at least",
    "time": "it must be a time of day, such as 08:00",
    "tuple": "it must be a list",
    "unexpected": "there is none of this name",
    "value": "{error}",
}


def reason(details: Mapping[str, Any]) -> str:
    """Say why a value cannot be used, in words of ours.

    Args:
        details: one of the ``errors()`` of pydantic's ValidationError.
    """
    kind, values = str(details["type"]), details.get("ctx") or {}
    words = _REASONS.get(kind) or _REASONS.get(kind.split("_", maxsplit=1)[0])
    # A whole number is written as one: 'at least 5', not 'at least 5.0'.
    values = {name: f"{value:g}" if isinstance(value, float) else value for name, value in values.items()}
    return "it is of another kind" if words is None else words.format(**values)


def place(details: Mapping[str, Any], given: Any) -> str:
    """Say where in what was given a value cannot be used: ``prices.openai``.

    Args:
        details: as of `reason`; behind the place, they may name the kind that was wanted.
        given: what was checked.
    """
    names: list[str] = []
    for part in details["loc"]:
        if not isinstance(given, Mapping | list | tuple):
            break
        names.append(str(part))
        try:
            given = given[part]
        except (KeyError, IndexError, TypeError):
            break
    return ".".join(names)
