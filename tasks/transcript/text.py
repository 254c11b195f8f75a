"""Splitting text into words and joining words to text, for scripts with and without spaces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

# Kana, CJK ideographs and their compatibility forms: written without spaces (Hangul is not).
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
# Marks such as 。 and 、 stay with the character before them.
_CLOSING = "\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f\u300d\u300f\u30fc"
_PIECE = re.compile(rf"[{_UNSPACED}][{_CLOSING}]*|[^\s{_UNSPACED}]+")
_STARTS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_ENDS_UNSPACED = re.compile(rf"[{_UNSPACED}{_CLOSING}]$")
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f\u2026][\"'\u201d\u2019)\]]*$")
_NOT_SPOKEN = re.compile(r"[\W_]+")


def split_words(text: str) -> list[str]:
    """Split text into words as written; an ideograph counts as a word."""
    return _PIECE.findall(text)


def join_words(words: Iterable[str]) -> str:
    """Join words to text, with spaces only where the script has them."""
    listed = list(words)
    if not listed:
        return ""
    parts = [listed[0]]
    for before, word in pairwise(listed):
        parts.append(space_between(before, word))
        parts.append(word)
    return "".join(parts)


def space_between(before: str, word: str) -> str:
    """Return what stands between two words: a space, or nothing where the script has none."""
    return "" if _ENDS_UNSPACED.search(before) and _STARTS_UNSPACED.match(word) else " "


def is_unspaced(word: str) -> bool:
    """Tell whether a word is of a script that is written without spaces: an ideograph, or a kana."""
    return _STARTS_UNSPACED.match(word) is not None


def ends_sentence(word: str) -> bool:
    """Tell whether a word, as written, closes a sentence."""
    return _SENTENCE_END.search(word) is not None


def spoken_form(word: str) -> str:
    """Reduce a written word to what is compared: no case, no punctuation."""
    return _NOT_SPOKEN.sub("", word).casefold()
