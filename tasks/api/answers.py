"""Reading what the API answered: lenient in shape, strict in sense. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stenoflow.tasks.api import types as coerce
from stenoflow.tasks.api.answer_times import by_start, read_times
from stenoflow.tasks.api.error_body import hint_for, read_complaint
from stenoflow.tasks.api.errors import BadAnswerError
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.transcript.types import Utterance, Word

# A model that repeats itself writes up to its limit, 16,000 tokens; nobody says 40 characters a second.
_MOST_CHARACTERS, _MOST_CHARACTERS_A_SECOND = 100_000, 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One transcription.

    Times are in ms from the segment's start, inside the segment, starts in order. ``utterances`` and
    ``words`` are empty where the API gave none, or none that say anything; utterances hold no words.

    Attributes:
        text: all that was transcribed; may be empty.
        language: as the API put it, a name or a code; the first of several.
        duration_ms: how much it says it transcribed.
        usage_seconds: what it counts for the charge, where it counts seconds; any number, and 0 where
            it counts them and says none.
        input_tokens: the same, where it counts tokens.
        output_tokens: the same.
        raw: the answer itself, JSON; reading it again gives an equal answer.
        languages: all that it says were spoken; most APIs name one.
        has_odd_times: some of the times that it gave cannot be true, and were left out.
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
    has_odd_times: bool = False
    languages: tuple[str, ...] = ()


def parse_answer(body: bytes, target: Target, duration_ms: int, content_type: str = "") -> Answer:
    """Read the body of an answer in json, verbose_json or diarized_json.

    Args:
        body: as received, or ``Answer.raw`` encoded as UTF-8.
        target: whom it came from, for messages.
        duration_ms: how long the segment is.
        content_type: for messages; servers label JSON in many ways.

    Raises:
        BadAnswerError: no JSON object with a text, or with more of it than anybody can say.
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
    try:
        # NaN and Infinity are not JSON: a database would refuse them, and they say nothing.
        parsed = coerce.load_json(raw, parse_constant=constants.append)
    except (ValueError, RecursionError):
        labelled = f", labelled {content_type[:60]}" if content_type else ""
        raise UnbelievableError(f"it is not JSON ({len(body)} bytes{labelled})") from None
    if not isinstance(parsed, dict):
        raise UnbelievableError("it is not a JSON object")
    return parsed, json.dumps(parsed, ensure_ascii=False) if constants else raw


def _answer(parsed: Mapping[str, Any], raw: str, duration_ms: int) -> Answer:
    text = parsed.get("text")
    if not isinstance(text, str):
        said = read_complaint(raw.encode("utf-8", "replace")).text
        raise UnbelievableError(f"it has no text{': ' + said if said else ''}")
    usage = parsed.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    languages = languages_in(parsed)
    utterances, odd_utterances = _utterances(coerce.entries(parsed, "segments"), duration_ms)
    words, odd_words = _words(parsed, duration_ms)
    longest = max(len(text), *(sum(len(each.text) for each in said) for said in (utterances, words)))
    if longest > _MOST_CHARACTERS + _MOST_CHARACTERS_A_SECOND * duration_ms // 1000:
        raise UnbelievableError(f"{longest} characters are said to be spoken in {duration_ms / 1000:g} s")
    return Answer(
        text=coerce.clean(text),
        language=languages[0] if languages else None,
        duration_ms=coerce.milliseconds(parsed.get("duration")),
        utterances=utterances,
        words=words,
        usage_seconds=_usage_seconds(usage),
        input_tokens=coerce.count(usage.get("input_tokens")),
        output_tokens=coerce.count(usage.get("output_tokens")),
        raw=raw,
        has_odd_times=odd_utterances or odd_words,
        languages=languages,
    )


def languages_in(parsed: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the languages that an answer names: `language`, or a list of codes, or of objects with one."""
    language, listed = parsed.get("language"), parsed.get("languages")
    if isinstance(language, str) and language:
        return (coerce.clean(language),)
    each = listed if isinstance(listed, list) else []
    codes = [entry.get("code") if isinstance(entry, dict) else entry for entry in each]
    return tuple(coerce.clean(code) for code in codes if isinstance(code, str) and code.strip())


def _usage_seconds(usage: Mapping[str, Any]) -> Decimal | None:
    is_counted = "seconds" in usage and usage.get("type") != "tokens"
    return coerce.decimal(usage["seconds"]) if is_counted else None


def _utterances(entries: Sequence[Mapping[str, Any]], duration_ms: int) -> tuple[tuple[Utterance, ...], bool]:
    said: Sequence[Mapping[str, Any]] = [entry for entry in entries if coerce.written(entry, "text")]
    times = read_times(said, duration_ms)
    if not times.in_order and any(coerce.written(entry, "speaker") for entry in said):
        # Who tells voices apart gives turns, which may lie over each other.
        said, times = by_start(said, times, duration_ms)
    texts = [coerce.written(entry, "text") for entry in said]
    utterances = tuple(
        Utterance(
            text=text,
            start_ms=region.start_ms,
            end_ms=region.end_ms,
            speaker=coerce.written(entry, "speaker") or None,
            avg_logprob=coerce.score(entry.get("avg_logprob")),
            compression_ratio=coerce.score(entry.get("compression_ratio")),
            no_speech_prob=coerce.score(entry.get("no_speech_prob")),
        )
        for entry, text, region in zip(said, texts, times.filled(texts, duration_ms), strict=False)
    )
    return utterances, times.are_odd


def _words(parsed: Mapping[str, Any], duration_ms: int) -> tuple[tuple[Word, ...], bool]:
    # Some servers put the words at the top as the API does, others into the segments as Whisper does.
    entries = coerce.entries(parsed, "words") or [
        word for segment in coerce.entries(parsed, "segments") for word in coerce.entries(segment, "words")
    ]
    said = [entry for entry in entries if _word_text(entry)]
    times = read_times(said, duration_ms)
    # A word without a time is not lost: it stands in the text, and shares the time between its neighbours.
    words = tuple(
        Word(_word_text(entry), region.start_ms, region.end_ms, _confidence(entry))
        for entry, region in zip(said, times.regions, strict=False)
        if region is not None
    )
    return words, times.are_odd


def _word_text(entry: Mapping[str, Any]) -> str:
    return (coerce.written(entry, "word") or coerce.written(entry, "text")).strip()


def _confidence(entry: Mapping[str, Any]) -> float | None:
    return next(
        (
            score
            for key in ("probability", "confidence")
            if (score := coerce.score(entry.get(key))) is not None
        ),
        None,
    )


class UnbelievableError(ValueError):
    """An answer says what cannot be so; the text completes "...: "."""
