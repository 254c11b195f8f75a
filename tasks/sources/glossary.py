"""Reading a glossary: names and terms that are likely to be said, one a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.sources.file_names import is_plain, shown

MOST_BYTES = 256 * 1024
LONGEST_TERM = 100
"""Characters; a longer one is a sentence, or no glossary at all."""


def read_glossary(path: Path) -> tuple[str, ...]:
    """Read a file.

    Raises:
        SettingsError: it cannot be read, or is no glossary.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = plain_reason(error)
        raise SettingsError(f"cannot read the glossary {path}: {reason}") from error
    return parse_glossary(content, str(path))


def parse_glossary(content: bytes, name: str) -> tuple[str, ...]:
    """Return the terms of a glossary, each once, in order. ``#`` begins a comment.

    Args:
        content: of its file.
        name: of the file, for messages.

    Raises:
        SettingsError: it is too large, not UTF-8, has a line too long for a term, or no term at all.
    """
    if len(content) > MOST_BYTES:
        raise SettingsError(f"the glossary {name} has more than {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"the glossary {name} is not text in UTF-8") from error
    lines = [" ".join(line.partition("#")[0].split()) for line in text.splitlines()]
    for number, term in enumerate(lines, 1):
        if not is_term(term):
            raise SettingsError(
                f"line {number} of the glossary {name} is no term: {shown(term[:40])} …",
                f"one name or term a line, of {LONGEST_TERM} characters at most",
            )
    terms = _once(lines)
    if not terms:
        raise SettingsError(
            f"the glossary {name} has no terms", "one name or term a line; # begins a comment"
        )
    return terms


def listed_terms(given: Iterable[str]) -> tuple[str, ...]:
    """Return terms that stand in a list, as `parse_glossary` does those of a file.

    Raises:
        ValueError: one is no term.
    """
    terms = [" ".join(each.split()) for each in given]
    for term in terms:
        if not is_term(term):
            message = f"{shown(term[:40])} … is no term, which has {LONGEST_TERM} characters at most"
            raise ValueError(message)
    return _once(terms)


def is_term(text: str) -> bool:
    """Tell whether a text can be a term: short, and without control signs."""
    return len(text) <= LONGEST_TERM and is_plain(text)


def _once(terms: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, terms)))
