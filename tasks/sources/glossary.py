"""Reading a glossary: names and terms that are likely to be said, one a line."""

from __future__ import annotations

from pathlib import Path

from stenoflow.tasks.errors import SettingsError

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
        reason = (error.strerror or str(error)).lower()
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
        if len(term) > LONGEST_TERM or not term.isprintable():
            raise SettingsError(
                f"line {number} of the glossary {name} is no term: {term[:40]!r} …",
                f"one name or term a line, of {LONGEST_TERM} characters at most",
            )
    terms = tuple(dict.fromkeys(filter(None, lines)))
    if not terms:
        raise SettingsError(
            f"the glossary {name} has no terms", "one name or term a line; # begins a comment"
        )
    return terms
