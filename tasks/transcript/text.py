"""Splitting text into words and joining words to text, for scripts with and without spaces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

# Kana, CJK ideographs (the rare ones beyond the basic plane, too), iteration marks and compatibility forms:
# written without spaces (Hangul is not).
_EAST = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Thai, Lao, Burmese and Khmer: no spaces between words, but between phrases.
_SOUTH = "\u0e01-\u0e7f\u0e80-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff"
_UNSPACED = _EAST + _SOUTH
# Marks such as 。 and 、 stay with the character before them, those such as 「 with the one after.
_CLOSING = "\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f\u300d\u300f\u3009\u300b\u3011\uff09\u30fc"
_OPENING = "\u300c\u300e\u3008\u300a\u3010\uff08"
# What must not be torn apart: a consonant, the vowels written before it, and all that is written round it.
_THAI = r"[\u0e40-\u0e44]*[\u0e01-\u0e3f\u0e45-\u0e7f][\u0e2f-\u0e3a\u0e45-\u0e4e]*"
_LAO = r"[\u0ec0-\u0ec4]*[\u0e80-\u0ebf\u0ec5-\u0eff][\u0eaf-\u0ebd\u0ec6\u0ec8-\u0ece]*"
_BURMESE = (
    r"[\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f]"
    r"(?:\u1039[\u1000-\u1021]|[\u102b-\u103e\u1056-\u1059\u104a\u104b]|[\u1000-\u1021]\u1037?\u103a)*"
)
_KHMER = r"[\u1780-\u17ff](?:\u17d2[\u1780-\u17b3]|[\u17b4-\u17d7\u17dd])*"
# The last is a vowel whose consonant is missing.
_CLUSTER = rf"(?:{_THAI}|{_LAO}|{_BURMESE}|{_KHMER}|[{_SOUTH}])(?: (?=[{_SOUTH}]))?"
_IDEOGRAPH = rf"[{_OPENING}]*[{_EAST}][{_CLOSING}]*"
_PIECE = re.compile(rf"{_IDEOGRAPH}|{_CLUSTER}|[^\s{_UNSPACED}{_OPENING}]+|[{_OPENING}]+")
_STARTS_UNSPACED = re.compile(rf"[{_UNSPACED}{_OPENING}]")
_ENDS_UNSPACED = re.compile(rf"[{_UNSPACED}{_CLOSING}]$")
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f\u2026][\"'\u201d\u2019)\]]*$")
_NOT_SPOKEN = re.compile(r"[\W_]+")


def split_words(text: str) -> list[str]:
    """Split text into words as written; an ideograph counts as a word, and so does a cluster of Thai.

    Where such a script has a space, it stays with the cluster before it: it parts phrases there.
    """
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
    return "".join(parts).rstrip(" ")


def space_between(before: str, word: str) -> str:
    """Return what stands between two words: a space, or nothing where the script has none."""
    if before.endswith(" "):
        return ""
    return "" if _ENDS_UNSPACED.search(before) and _STARTS_UNSPACED.match(word) else " "


def is_unspaced(word: str) -> bool:
    """Tell whether a word is of a script that is written without spaces: an ideograph, a kana, a cluster."""
    return _STARTS_UNSPACED.match(word) is not None


def ends_sentence(word: str) -> bool:
    """Tell whether a word, as written, closes a sentence."""
    return _SENTENCE_END.search(word) is not None


def spoken_form(word: str) -> str:
    """Reduce a written word to what is compared: no case, no punctuation."""
    return _NOT_SPOKEN.sub("", word).casefold()
