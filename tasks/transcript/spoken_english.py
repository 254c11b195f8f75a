"""Spell out English as it is said (numbers, money, dates, abbreviations), for aligning text to sound.

It need not be exact: an aligner passes over what it cannot find, and the word as written takes the time of
what was found of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ONES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
_TENS = (
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
)
_SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_SIGNS = {
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
    "¥": "yen",
    "%": "percent",
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "°": "degrees",
}
_UNITS = {
    "k": ["thousand"],
    "m": ["million"],
    "bn": ["billion"],
    "b": ["billion"],
    "am": ["a", "m"],
    "pm": ["p", "m"],
    "km": ["kilometers"],
    "kg": ["kilograms"],
    "h": ["hours"],
}
_ABBREVIATIONS = {
    "mr": ["mister"],
    "mrs": ["missus"],
    "dr": ["doctor"],
    "st": ["saint"],
    "vs": ["versus"],
    "etc": ["etcetera"],
    "no": ["no"],
    "approx": ["approximately"],
    "jan": ["january"],
    "feb": ["february"],
    "dept": ["department"],
}
_DATE = re.compile(r"([12]\d{3})-(\d\d)-(\d\d)")
_PIECE = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+(?:st|nd|rd|th)\b|\d+|[^\W\d_]+(?:'[^\W\d_]+)*|[$€£¥%&+=@°]"
)
_LONGEST_DIGITS = 12


def spoken_english(written: str) -> list[str]:
    """Return the words that are said where a word is written, in lower case; none for mere punctuation."""
    text = written.replace("\u2019", "'").replace("\u2212", "-")
    dated = _DATE.search(text)
    if dated and 1 <= int(dated[2]) <= len(_MONTHS):
        year, month, day = (int(part) for part in dated.groups())
        return [_MONTHS[month - 1], *_ordinal(day), *_year(year)]
    pieces = _PIECE.findall(text)
    if _is_initials(text):
        return [letter.lower() for letter in text if letter.isalpha()]
    said: list[str] = []
    money: list[str] = []
    for number, piece in enumerate(pieces):
        before = pieces[number - 1] if number else ""
        if piece in "$€£¥":
            money = [_SIGNS[piece]]
        elif piece in _SIGNS:
            said.append(_SIGNS[piece])
        elif piece[0].isdecimal():
            said += _number(piece)
        elif before[:1].isdecimal() and piece.lower() in _UNITS:
            said += _UNITS[piece.lower()]
        else:
            said += _ABBREVIATIONS.get(piece.lower(), [_plain(piece)])
    return [word for word in (*said, *money) if word]


def _is_initials(text: str) -> bool:
    """Tell whether letters are said one by one: U.S., B.B.C., and NATO not."""
    return re.fullmatch(r"\W*(?:[A-Za-z]\.){2,}\W*", text) is not None


def _plain(word: str) -> str:
    apart = unicodedata.normalize("NFKD", word.lower())
    return "".join(char for char in apart if char.isalpha() or char == "'")


def _number(digits: str) -> list[str]:
    if digits[-1].isalpha() and len(digits) <= _LONGEST_DIGITS:
        return _ordinal(int(digits[:-2]))
    whole, _, decimals = digits.rstrip("stndrh").replace(",", "").partition(".")
    if len(whole) > _LONGEST_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        said = [_ONES[int(digit)] for digit in whole]
    elif len(whole) == 4 and "," not in digits and not decimals and 1100 <= int(whole) < 2100:
        said = _year(int(whole))
    else:
        said = _cardinal(int(whole))
    return [*said, "point", *(_ONES[int(digit)] for digit in decimals)] if decimals else said


def _year(year: int) -> list[str]:
    if year % 1000 < 10:
        return _cardinal(year)
    century, rest = divmod(year, 100)
    return [*_cardinal(century), *(["hundred"] if not rest else ["o"] if rest < 10 else []), *_some(rest)]


def _some(number: int) -> list[str]:
    return _cardinal(number) if number else []


def _cardinal(number: int) -> list[str]:
    for scale, name in _SCALES:
        if number >= scale:
            return [*_cardinal(number // scale), name, *_some(number % scale)]
    if number >= 100:
        return [_ONES[number // 100], "hundred", *_some(number % 100)]
    if number >= 20:
        return [_TENS[number // 10 - 2], *_some(number % 10)]
    return [_ONES[number]]


def _ordinal(number: int) -> list[str]:
    *before, last = _cardinal(number)
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return [*before, _ORDINALS.get(last, regular)]


_VALUES = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 10 * value for value, word in enumerate(_TENS, 2)},
    **{name: scale for scale, name in _SCALES},
    "hundred": 100,
}
_VALUES |= {_ordinal(value)[-1]: value for value in _VALUES.values()}
NUMBER_WORDS = frozenset(_VALUES)
"""The words that numbers are said in, ordinals among them."""


def number_of(words: Sequence[str]) -> str:
    """Return the digits of a number that is said: of "fifteen hundred" those of "one thousand five hundred".

    What is said one by one, as years and telephone numbers are, stands side by side.
    """
    parts: list[int] = []
    # What stands before the last "thousand", and what comes after it.
    whole = rest = 0
    for at, value in enumerate(_VALUES[word] for word in words):
        if value == 100:
            rest = max(rest, 1) * value
        elif value > 100:
            whole, rest = whole + max(rest, 1) * value, 0
        elif at == 0 or _continues(whole, rest, value):
            rest += value
        else:
            parts.append(whole + rest)
            whole, rest = 0, value
    return "".join(map(str, [*parts, whole + rest]))


def _continues(whole: int, rest: int, value: int) -> bool:
    """Tell whether a number under a hundred goes on with what was said: "two hundred | five"."""
    if rest % 100 == 0:
        return whole + rest > 0
    return rest % 10 == 0 and rest % 100 >= 20 and 0 < value < 10
