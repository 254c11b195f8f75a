"""The table of transcription models, as data; what a server lists; how much of a glossary fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from stenoflow.tasks.api.errors import BadAnswerError
from stenoflow.tasks.api.model_table import ModelKind, ModelListing, ModelTable, load_table
from stenoflow.tasks.api.types import Reply, Target, load_json

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json", "diarized_json"]
Granularity = Literal["segment", "word"]

_RICHEST_FIRST: tuple[ResponseFormat, ...] = ("diarized_json", "verbose_json", "json")
# The limit counts the whole form: boundaries, field names, a prompt, keywords.
_FORM_HEADROOM_BYTES = 256 * 1024
# Encoders pad, and servers round.
_DURATION_HEADROOM_MS = 20_000
# Of a small limit no more than this part is left free.
_HEADROOM_PART = 10

_Limit = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Model(ModelListing):
    """The abilities of one transcription model; ``models.toml`` says what each field means.

    Attributes:
        max_bytes: of the whole upload; None where there is no limit.
        max_seconds: of audio in one call; None where there is no limit.
        prompt_tokens: of the prompt, of which no more is read; None where there is no limit.
        max_keywords: in one call; None where there is no limit.
        translations: whether it translates into English.
        detects: whether it says which language it heard though it gives no times.
        diarizes: whether it tells speakers apart where it is asked to, and only then.
    """

    formats: tuple[ResponseFormat, ...]
    granularities: tuple[Granularity, ...] = ()
    max_bytes: _Limit | None = None
    max_seconds: _Limit | None = None
    chunking_strategy: str | None = None
    language: bool = False
    languages: bool = False
    prompt: bool = False
    prompt_tokens: int | None = None
    keywords: bool = False
    max_keywords: int | None = None
    translations: bool = False
    detects: bool = False
    diarizes: bool = False

    @property
    def response_format(self) -> ResponseFormat:
        """The format to ask for: of those that can be parsed, the one that says most."""
        return next((known for known in _RICHEST_FIRST if known in self.formats), "json")

    @property
    def timed(self) -> bool:
        """Whether its answers carry times."""
        return self.response_format != "json"

    @property
    def tells_speakers(self) -> bool:
        """Whether its answers tell speakers apart."""
        return self.response_format == "diarized_json"

    @property
    def can_tell_speakers(self) -> bool:
        """Whether it can tell speakers apart."""
        return self.tells_speakers or self.diarizes

    def format_for(self, *, speakers: bool) -> ResponseFormat:
        """Return the format of a job's answers; ``speakers``: it is asked to tell them apart."""
        return "diarized_json" if speakers and self.diarizes else self.response_format

    def plain(self) -> Model:
        """Return the same model asked for bare text, for servers that refuse the richer formats."""
        return replace(self, formats=("json",), granularities=())

    def plainer(self, *, words_refused: bool) -> Model | None:
        """Return the same model asked for less, after a refusal; None where there is nothing less.

        Args:
            words_refused: the times that were asked for are refused, so that segments may still have some:
                first without words, then without naming anything, then bare text.
        """
        if not self.timed:
            return None
        if words_refused and self.response_format == "verbose_json" and self.granularities:
            fewer = tuple(each for each in self.granularities if each != "word")
            return replace(self, granularities=fewer if fewer != self.granularities else ())
        return self.plain()

    def longest_ms(self, bits_per_second: int) -> int | None:
        """Return how long a segment may be at a bit rate, headroom taken off; None without limits."""
        limits = []
        if self.max_bytes is not None:
            limits.append(_less(self.max_bytes, _FORM_HEADROOM_BYTES) * 8_000 // bits_per_second)
        if self.max_seconds is not None:
            limits.append(_less(self.max_seconds * 1_000, _DURATION_HEADROOM_MS))
        return min(limits, default=None)


def _less(limit: int, headroom: int) -> int:
    return limit - min(headroom, limit // _HEADROOM_PART)


def load_models(overrides: Mapping[str, Mapping[str, object]] | None = None) -> ModelTable[Model]:
    """Read the models that transcribe; see `load_table`."""
    return load_table(ModelKind.TRANSCRIPTION, Model, overrides)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model as the server lists it.

    Attributes:
        shutdown: the last day, where the server says one.
    """

    name: str
    shutdown: date | None = None


def parse_catalogue(reply: Reply, target: Target) -> tuple[ListedModel, ...]:
    """Read the list; entries that make no sense are left out.

    Raises:
        BadAnswerError: there is no list.
    """
    try:
        parsed = load_json(reply.body)
    except (ValueError, RecursionError):
        parsed = None
    entries = parsed.get("data") if isinstance(parsed, dict) else None
    if isinstance(parsed, dict) and isinstance(parsed.get("stt"), list):
        # Deepgram's list has another shape.
        entries = [{"id": each.get("canonical_name")} for each in parsed["stt"] if isinstance(each, dict)]
    if not isinstance(entries, list):
        raise BadAnswerError(
            f"{target} sent no list of models", f"is {target.address} the API's address?", reply.status
        )
    return tuple(
        ListedModel(entry["id"], _date(entry.get("shutdown_date")))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


# What Whisper's tokenizer makes of names and of scripts other than Latin is about this: some names take less,
# and what stands first in a prompt that is too long would not be read.
_ASCII_PER_TOKEN = 3
_TOKENS_PER_WIDE = 1.3
_TOKENS_PER_OTHER = 0.6
_LEAD_TOKENS = 5


def terms_that_fit(terms: Sequence[str], model: Model) -> tuple[str, ...]:
    """Return the first terms of a glossary that a model takes; none where it takes no hints at all."""
    if model.keywords:
        return tuple(terms[: model.max_keywords])
    if not model.prompt:
        return ()
    return tuple(_within(terms, model.prompt_tokens))


def _within(terms: Sequence[str], most_tokens: int | None) -> Iterator[str]:
    tokens = _LEAD_TOKENS
    for term in terms:
        tokens += 1 + _tokens(term)
        if most_tokens is not None and tokens > most_tokens:
            return
        yield term


def _tokens(term: str) -> int:
    ascii_ = sum(sign < "\x80" for sign in term)
    wide = sum(sign >= "\u0800" for sign in term)
    others = len(term) - ascii_ - wide
    return math.ceil(ascii_ / _ASCII_PER_TOKEN + others * _TOKENS_PER_OTHER + wide * _TOKENS_PER_WIDE)
