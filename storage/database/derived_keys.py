"""Work keys that are made of another's: what is asked about a segment beside its hearing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def with_translations(work_keys: Iterable[str]) -> list[str]:
    """Return work keys, and those of the translations."""
    keys = list(work_keys)
    return [*keys, *map(translation_key, keys)]


def translation_key(work_key: str) -> str:
    """Return the work key of a segment's translation into English, made of that of its hearing."""
    return hashlib.sha256(f"{work_key} translation/1".encode()).hexdigest()
