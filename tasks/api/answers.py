"""Reading what the API answered: lenient in shape, strict in sense. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stenoflow.tasks.api import types as lenient
from stenoflow.tasks.api.error_body import hint_for, read_complaint
from stenoflow.tasks.api.errors import BadAnswerError
from stenoflow.tasks.api.types import LONGEST_S, Target, seconds
from stenoflow.tasks.transcript.types import Region, Utterance, Word


@dataclass(frozen=True, slots=True)
class Answer:
    """One transcription.

    Times are in ms from the segment's start, inside the segment, starts in order. ``utterances`` and
    ``words`` are empty where the API gave none, or none that say anything; utterances hold no words.

    Attributes:
        text: all that was heard; may be empty.
        language: as the API put it, a name or a code.
        duration_ms: how much it says it heard.
        usage_seconds: what it counts for the charge, where it counts seconds; any number, and 0 where
            it counts them and says none.
        input_tokens: the same, where it counts tokens.
        output_tokens: the same.
        raw: the answer itself, JSON; reading it again gives an equal answer.
    """

    text: str
    language: str | None
    duration_ms: int | None
    utterances: tuple[Utterance, ...]
    words: tuple[Word, ...]
    usage_seconds: Decimal | None
    input_tokens: int | None
    output_tokens: int | None
    raw: str


def parse_answer(body: bytes, target: Target, duration_ms: int, content_type: str = "") -> Answer:
    """Read the body of an answer in json, verbose_json or diarized_json.

    Args:
        body: as received, or ``Answer.raw`` encoded as UTF-8.
        target: whom it came from, for messages.
        duration_ms: how long the segment is.
        content_type: for messages; servers label JSON in many ways.

    Raises:
        BadAnswerError: no JSON object with a text, or times that cannot be true.
    """
    try:
        parsed, raw = _load(body, content_type)
        return _answer(parsed, raw, duration_ms)
    except UnbelievableError as error:
        message = f"{target} sent an answer that cannot be used: {error}"
        raise BadAnswerError(message, hint_for(BadAnswerError, target)) from error


def _load(body: bytes, content_type: str) -> tuple[dict[str, Any], str]:
    raw = body.decode("utf-8-sig", errors="replace")
    if not raw.strip():
        raise UnbelievableError("it is empty")
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    try:
        parsed = json.loads(raw, parse_constant=constant)
    except (ValueError, RecursionError):
        labelled = f", labelled {content_type[:60]}" if content_type else ""
        raise UnbelievableError(f"it is not JSON ({len(body)} bytes{labelled})") from None
    if not isinstance(parsed, dict):
        raise UnbelievableError("it is not a JSON object")
    if constants:
        # NaN and Infinity are not JSON: a database would refuse them.
        raw = json.dumps(json.loads(raw, parse_constant=lambda _: None), ensure_ascii=False)
    return parsed, raw


def _answer(parsed: Mapping[str, Any], raw: str, duration_ms: int) -> Answer:
    text = parsed.get("text")
    if not isinstance(text, str):
        said = read_complaint(raw.encode("utf-8", "replace")).text
        raise UnbelievableError(f"it has no text{': ' + said if said else ''}")
    usage = parsed.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    language = parsed.get("language")
    return Answer(
        text=lenient.clean(text),
        language=lenient.clean(language) if isinstance(language, str) and language else None,
        duration_ms=lenient.milliseconds(parsed.get("duration")),
        utterances=_utterances(lenient.entries(parsed, "segments"), duration_ms),
        words=_words(parsed, duration_ms),
        usage_seconds=_usage_seconds(usage),
        input_tokens=lenient.count(usage.get("input_tokens")),
        output_tokens=lenient.count(usage.get("output_tokens")),
        raw=raw,
    )


def _usage_seconds(usage: Mapping[str, Any]) -> Decimal | None:
    is_counted = "seconds" in usage and usage.get("type") != "tokens"
    return lenient.decimal(usage["seconds"]) if is_counted else None


def _utterances(entries: Sequence[Mapping[str, Any]], duration_ms: int) -> tuple[Utterance, ...]:
    said = [entry for entry in entries if lenient.written(entry, "text")]
    return tuple(
        Utterance(
            text=lenient.written(entry, "text"),
            start_ms=region.start_ms,
            end_ms=region.end_ms,
            speaker=lenient.written(entry, "speaker") or None,
            avg_logprob=lenient.score(entry.get("avg_logprob")),
            compression_ratio=lenient.score(entry.get("compression_ratio")),
            no_speech_prob=lenient.score(entry.get("no_speech_prob")),
        )
        for entry, region in zip(said, read_regions(said, duration_ms) or (), strict=False)
    )


def _words(parsed: Mapping[str, Any], duration_ms: int) -> tuple[Word, ...]:
    # Some servers put the words at the top as the API does, others into the segments as Whisper does.
    entries = lenient.entries(parsed, "words") or [
        word for segment in lenient.entries(parsed, "segments") for word in lenient.entries(segment, "words")
    ]
    said = [entry for entry in entries if _word_text(entry)]
    return tuple(
        Word(_word_text(entry), region.start_ms, region.end_ms, _confidence(entry))
        for entry, region in zip(said, read_regions(said, duration_ms) or (), strict=False)
    )


def _word_text(entry: Mapping[str, Any]) -> str:
    return (lenient.written(entry, "word") or lenient.written(entry, "text")).strip()


def _confidence(entry: Mapping[str, Any]) -> float | None:
    return next(
        (
            score
            for key in ("probability", "confidence")
            if (score := lenient.score(entry.get(key))) is not None
        ),
        None,
    )


# Servers round, and encoders pad: up to here a time is brought back rather than refused.
_TOLERANCE_MS = 1_000
# Whisper hears in windows of 30 s, and ends its last utterance at the window's end.
_WINDOW_MS = 30_000


class UnbelievableError(ValueError):
    """An answer says what cannot be so; the text completes "...: "."""


def read_regions(entries: Sequence[Mapping[str, object]], duration_ms: int) -> list[Region] | None:
    """Read ``start`` and ``end`` of each entry.

    Args:
        entries: words or utterances, in the order of speech.
        duration_ms: how long the segment is.

    Returns:
        One region an entry, inside the segment, starts in order; or None where the server has no times
        to give: an entry without any, or nothing but zeros.

    Raises:
        UnbelievableError: a time is not finite, lies outside the segment, or goes backward.
    """
    regions: list[Region] = []
    for entry in entries:
        start, end = seconds(entry.get("start")), seconds(entry.get("end"))
        if start is None or end is None:
            return None
        earliest_ms = regions[-1].start_ms if regions else 0
        regions.append(_region(start, end, earliest_ms, duration_ms))
    return regions if any(region.end_ms for region in regions) else None


def _region(start: float, end: float, earliest_ms: int, duration_ms: int) -> Region:
    said = f"{start:g} s to {end:g} s"
    # False for NaN too; a finite 1e308 would overflow as milliseconds.
    if not (abs(start) < LONGEST_S and abs(end) < LONGEST_S):
        raise UnbelievableError(f"a time is no moment in a recording: {said}")
    start_ms, end_ms = round(start * 1_000), round(end * 1_000)
    if end_ms < start_ms - _TOLERANCE_MS or start_ms < earliest_ms - _TOLERANCE_MS:
        raise UnbelievableError(f"times go backward: {said} after {earliest_ms / 1_000:g} s")
    if start_ms > duration_ms + _TOLERANCE_MS or end_ms > duration_ms + _WINDOW_MS:
        raise UnbelievableError(f"times outside the segment of {duration_ms / 1_000:g} s: {said}")
    start_ms = min(max(start_ms, earliest_ms), duration_ms)
    return Region(start_ms, min(max(end_ms, start_ms), duration_ms))
