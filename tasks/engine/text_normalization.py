"""Normalization of text for a voice: its script, and plain Latin letters for voices that read no others."""

from __future__ import annotations

import unicodedata
from collections import Counter

from stenoflow.tasks.engine.api_errors import ApiErrorReply, invalid

# What has no plain letters within: NFKD leaves these as they are.
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | dict.fromkeys("\u2013\u2014\u2015\u2022", ", ")  # dashes and bullets are pauses
    | dict.fromkeys("\u2010\u2011\u2212", "-")
    | {"€": " euros ", "£": " pounds ", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th"}
    | {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Þ": "Th", "\u0131": "i"}
)


def speakable(text: str) -> list[str]:
    """Return the letters and digits of a text."""
    return [char for char in text if char.isalnum()]


def check_speakable(text: str) -> None:
    """Refuse a text without a letter or a digit.

    Raises:
        ApiErrorReply: it is only signs or pictures.
    """
    if not speakable(text):
        raise no_language("there is no letter or digit in it")


def no_language(why: str) -> ApiErrorReply:
    """Make the error of a text that cannot be spoken."""
    return invalid("input", f"This text cannot be spoken: {why}", "unspeakable_input")


def plain(text: str) -> str:
    """Write a text in ASCII: letters without accents, plain quotes, dashes as the pauses that they are."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    kept = "".join(char for char in apart if not unicodedata.combining(char))
    return "".join(char if char.isascii() and (char.isprintable() or char == "\n") else " " for char in kept)


def main_script(text: str) -> str:
    """Name the script of most letters as Unicode does (CYRILLIC, CJK); without letters it is LATIN."""
    scripts = Counter(unicodedata.name(char, "?").split()[0] for char in text if char.isalpha())
    return scripts.most_common(1)[0][0] if scripts else "LATIN"
