"""A text as it is spoken: what of it can be said, and what people know it by."""

from __future__ import annotations

import re

from tasks.errors import RefusedError

_NAME_CHARACTERS = 48
# Of what people cannot see, only line ends and tabs mean something to a voice.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\u200b\u2060]")


class NothingToSayError(RefusedError):
    """A text has no word in it."""

    kind = "no-text"


def clean(text: str) -> str:
    """Return a text with one kind of line end, and without what nobody can see.

    Raises:
        NothingToSayError: it is empty, or has neither letter nor digit in any script.
    """
    told = text.encode("utf-8", "replace").decode()
    told = _CONTROLS.sub("", told.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not told:
        raise NothingToSayError("there is no text to speak", "give it as an argument, with --file, or as -")
    if not is_speakable(told):
        raise NothingToSayError(
            f"the text is in no language: {told[:40]!r} has neither a letter nor a digit",
            "write out what is to be said",
        )
    return told


def is_speakable(text: str) -> bool:
    """Tell whether there is anything to be said in a text, in any script."""
    return any(sign.isalnum() for sign in text)


def name_of(text: str) -> str:
    """Return the first words of a text, on one line: what it is called in lists."""
    line = " ".join(text[: 4 * _NAME_CHARACTERS].split())
    if len(line) <= _NAME_CHARACTERS:
        return line
    return line[:_NAME_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,;:-") + "…"
