"""Cache keys that are made of a segment's, for what is kept about it beside its answer.

The segment's own is made in `tasks/assembly/job_settings.py`, those of speech and replies in their jobs'
settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any


class AlignMode(StrEnum):
    """When words are timed by the sound itself; what is found in the sound is kept apart for each."""

    AUTO = "auto"
    """Where the model times none."""
    ALWAYS = "always"
    NEVER = "never"


MOST_AGAIN = 2
"""How often a segment with a hole is asked for beside its first answer."""


def with_translations(cache_keys: Iterable[str], translator: str | None = None) -> list[str]:
    """Return cache keys, and those of the translations; ``translator`` as in `translation_key`."""
    keys = list(cache_keys)
    return [*keys, *(translation_key(key, translator) for key in keys)]


def with_derived(cache_keys: Iterable[str], translator: str | None = None) -> list[str]:
    """Return cache keys, and those of all that is kept beside the answers.

    ``translator`` as in `translation_key`.
    """
    keys = list(cache_keys)
    return [
        *with_translations(keys, translator),
        *(second_opinion_key(key) for key in keys),
        *(review_key(key, align) for key in keys for align in AlignMode),
        *(
            again_key(key, align, number)
            for key in keys
            for align in AlignMode
            for number in range(1, MOST_AGAIN + 1)
        ),
    ]


def translator_of(settings: Mapping[str, Any]) -> str | None:
    """Return by whom a job's settings have it translated, as `translation_key` wants it.

    Where the chat model is at another provider than the one that transcribes, which the transcription's key
    names, the other one is named, too.
    """
    model: str | None = settings.get("translator")
    provider = settings.get("translator_provider")
    return f"{model} at {provider}" if model and provider else model


def translation_key(cache_key: str, translator: str | None = None) -> str:
    """Return the cache key of a segment's translation into English, made of that of its transcription.

    Args:
        cache_key: of the transcription.
        translator: the chat model that translates, by `translator_of`; None: the model that transcribes does.
    """
    by_chat = "" if translator is None else f" by chat/1 {translator}"
    return _hash(f"{cache_key} translation/1{by_chat}")


def second_opinion_key(cache_key: str) -> str:
    """Return the key of where a second opinion differs from an answer, made of that of the answer."""
    return _hash(f"{cache_key} second opinion/1")


def review_key(cache_key: str, align: str) -> str:
    """Return the key of what the sound of a segment says of its answer; ``align``: of the job."""
    return _hash(f"{cache_key} review/1 {align}")


def again_key(cache_key: str, align: str, number: int) -> str:
    """Return the key of the answer when a segment with a hole, or a piece of it, is asked for again.

    Args:
        cache_key: of the first answer.
        align: of the job; where the hole is depends on it.
        number: from 1 to `MOST_AGAIN`.
    """
    return _hash(f"{cache_key} again/1 {align} {number}")


def _hash(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()
