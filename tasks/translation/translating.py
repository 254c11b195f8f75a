"""What of a job is to be translated into English, and what of that is there."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tasks.job_settings import JobSettings
from tasks.speech.languages import language_code
from tasks.workshop import Workshop

ENGLISH = "en"


def is_to_be_translated(answer: str, settings: JobSettings) -> bool:
    """Tell by what was heard in a segment whether there is anything to translate: words, and not English."""
    said = json.loads(answer)
    told = said.get("language")
    language = language_code(told) if isinstance(told, str) else None
    return bool(str(said.get("text", "")).strip()) and (language or settings.language) != ENGLISH


def untranslated(workshop: Workshop, settings: JobSettings, work_keys: Iterable[str]) -> set[str]:
    """Return the work keys of segments that were heard, and whose translation is yet to be had."""
    if not settings.translate:
        return set()
    keys = set(work_keys)
    there = workshop.ledger.answered(map(settings.translation_key, keys))
    return {
        key
        for key in keys
        if settings.translation_key(key) not in there
        # One answer at a time: together those of a day take much memory.
        for answer in workshop.ledger.answers([key]).values()
        if is_to_be_translated(answer, settings)
    }
