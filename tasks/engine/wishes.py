"""What a request asks for: the fields of its form, read and checked one by one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from starlette.datastructures import FormData

from tasks.engine.problems import invalid
from tasks.engine.recogniser import Hints
from tasks.speech.languages import language_code


class Format(StrEnum):
    """The values of response_format."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"


class Granularity(StrEnum):
    """The values of timestamp_granularities[]."""

    WORD = "word"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for, the sound apart."""

    model: str
    hints: Hints
    format: Format
    granularities: frozenset[Granularity]
    stream: bool


def read_wish(form: FormData) -> Wish:
    """Read the fields of the form, the file apart.

    Raises:
        Problem: a field is missing or wrong; it is named.
    """
    model = _text(form, "model")
    if model is None:
        raise invalid("model", "You must provide a model parameter", "missing_required_parameter")
    wish = Wish(
        model=model,
        hints=Hints(_language(form), _text(form, "prompt"), _temperature(form)),
        format=_format(form),
        granularities=_granularities(form),
        stream=_stream(form),
    )
    if wish.granularities and wish.format is not Format.VERBOSE_JSON:
        raise invalid("timestamp_granularities", "timestamp_granularities needs response_format verbose_json")
    if wish.stream and wish.format not in {Format.JSON, Format.TEXT}:
        raise invalid("response_format", f"a stream comes as json or text, not as {wish.format}")
    return wish


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _format(form: FormData) -> Format:
    value = _text(form, "response_format")
    try:
        return Format(value) if value else Format.JSON
    except ValueError:
        raise invalid("response_format", f"{value} is none of {_listed(Format)}") from None


def _granularities(form: FormData) -> frozenset[Granularity]:
    fields = ("timestamp_granularities[]", "timestamp_granularities")
    values = [str(value) for field in fields for value in form.getlist(field)]
    try:
        return frozenset(map(Granularity, values))
    except ValueError:
        message = f"{', '.join(values)} is not made of {_listed(Granularity)}"
        raise invalid("timestamp_granularities", message) from None


def _listed(values: type[StrEnum]) -> str:
    return ", ".join(values)


def _language(form: FormData) -> str | None:
    value = _text(form, "language")
    code = language_code(value)
    if value is not None and code is None:
        raise invalid("language", f"{value} is no language of ISO 639-1", "invalid_language_format")
    return code


def _temperature(form: FormData) -> float | None:
    value = _text(form, "temperature")
    if value is None:
        return None
    try:
        temperature = float(value)
    except ValueError:
        temperature = -1.0
    if not (isfinite(temperature) and 0 <= temperature <= 1):
        raise invalid("temperature", f"{value} is no number from 0 to 1")
    return temperature


def _stream(form: FormData) -> bool:
    value = (_text(form, "stream") or "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise invalid("stream", f"{value} is neither true nor false")
    return value in {"true", "1"}
