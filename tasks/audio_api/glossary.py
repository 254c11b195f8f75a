"""How much of a glossary a model takes: as many of its first terms as fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tasks.audio_api.models import Model

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
