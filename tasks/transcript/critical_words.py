"""Critical words: negations and numbers, of which a single one turns what is said into something else.

Two models write them in their own ways ("3" and "three", "can't" and "cannot"), and mistake many a word for
one. So what counts is only that both say the same otherwise, word for word, on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stenoflow.tasks.transcript.spoken_english import NUMBER_WORDS, number_of, spoken_english
from stenoflow.tasks.transcript.text import split_words, spoken_form

# In the languages that are heard most; only words that negate whatever stands beside them.
_NEGATIONS = {
    *("not", "never"),
    *("nicht", "nie", "niemals", "kein", "keine", "keinen", "keinem", "keiner", "keines"),
    *("pas", "jamais", "nunca", "jamás", "não"),
    *("niet", "nooit", "geen", "inte", "aldrig", "ikke"),
}
_CONTRACTIONS = {"cannot": "can", "cant": "can", "wont": "will", "shant": "shall", "dont": "do"}
_CONTRACTIONS |= {f"{verb}nt": verb for verb in ("are", "could", "did", "does", "had", "has", "have", "is")}
_CONTRACTIONS |= {f"{verb}nt": verb for verb in ("might", "must", "need", "should", "was", "were", "would")}
_POSITIVE = {f"kein{ending}": f"ein{ending}" for ending in ("", "e", "en", "em", "er", "es")}


def said_words(text: str) -> list[str]:
    """Return the words of a text as they are said: numbers in words, and what hyphens join apart."""
    return [
        form
        for written in split_words(text)
        for part in re.split(r"(?<=[^\W\d_])[-\u2010-\u2015](?=[^\W\d_])", written)
        for form in (spoken_english(part) if re.match(r"\W*\d", part) else [spoken_form(part)])
        if form
    ]


def are_negated(words: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether two rows of words say the same, but that one of them denies it."""
    return _denied(words) != _denied(others) and _positive(words) == _positive(others)


def are_other_numbers(words: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether two rows of words are both numbers, and not the same."""
    if not (words and others and NUMBER_WORDS.issuperset([*words, *others])):
        return False
    return number_of(words) != number_of(others)


def _denied(words: Sequence[str]) -> bool:
    return any(word in _NEGATIONS or word in _CONTRACTIONS for word in words)


def _positive(words: Sequence[str]) -> list[str]:
    found = (_CONTRACTIONS.get(word, _POSITIVE.get(word, word)) for word in words)
    return [word for word in found if word not in _NEGATIONS]
