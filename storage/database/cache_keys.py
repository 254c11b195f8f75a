"""Cache keys that are made of another's: what is asked about a segment beside its transcription."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def with_translations(cache_keys: Iterable[str], translator: str | None = None) -> list[str]:
    """Return cache keys, and those of the translations; ``translator`` as in `translation_key`."""
    keys = list(cache_keys)
    return [*keys, *(translation_key(key, translator) for key in keys)]


def translation_key(cache_key: str, translator: str | None = None) -> str:
    """Return the cache key of a segment's translation into English, made of that of its transcription.

    Args:
        cache_key: of the transcription.
        translator: the chat model that translates; None: the model that transcribes does.
    """
    by_chat = "" if translator is None else f" by chat/1 {translator}"
    return hashlib.sha256(f"{cache_key} translation/1{by_chat}".encode()).hexdigest()
