"""Text that is nothing but text: what formats and their readers would take for something else is kept out.

Words come from models and names from people, so anything may stand in them. A format that has an escape uses
it. One that has none is written with full-width forms, which look alike and which Unicode's compatibility
normalisation (NFKC) folds back to the signs that they stand for.
"""

from __future__ import annotations

import re
from dataclasses import replace

from stenoflow.tasks.transcript.text import join_words
from stenoflow.tasks.transcript.types import Transcript, Utterance, Word

# Control signs, halves of surrogate pairs, and what Unicode says is no character: XML and HTML take none of
# them. And what turns the direction of all that follows it; the marks that concern one place may stay.
_NO_TEXT = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
_BLANK = re.compile("[\\t-\\r\\x1c-\\x1f\\x85\\u2028\\u2029 ]+")
# What programs for tables take for the beginning of a formula, some of them in full width, too.
_FORMULA = re.compile("'*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
_FULL_WIDTH = {sign: chr(ord(sign) + 0xFEE0) for sign in "<>{}\\,."}
# What players of SubRip take for markup: a tag, a block in braces, the arrow between two times, and a time.
_SUBRIP_MARKUP = re.compile(r"<(?=\s*[A-Za-z/!?])|[{}\\]|(?<=--)>|(?<=\d:\d\d:\d\d)[,.](?=\d)")
_ASS_MARKUP = re.compile(r"[{}\\]")


def one_line(text: str) -> str:
    """Return a text on one line, without what is no text."""
    return _NO_TEXT.sub("", _BLANK.sub(" ", text)).strip()


def for_cell(text: str) -> str:
    """Return a text as a cell of a table that no program takes for a formula: behind an apostrophe.

    One that has an apostrophe there gets another, so that it is known which was said.
    """
    line = one_line(text)
    return f"'{line}" if _FORMULA.match(line) else line


def for_subrip(line: str) -> str:
    """Return a line of text as SubRip can hold it, which has no escape."""
    return _SUBRIP_MARKUP.sub(_full_width, line)


def for_ass(line: str) -> str:
    """Return a line of text as Advanced SubStation can hold it; not every player knows its escapes."""
    return _ASS_MARKUP.sub(_full_width, line)


def readable(transcript: Transcript) -> Transcript:
    """Return a transcript whose texts are text, with as many words as before; itself, where they are."""
    utterances = tuple(map(_readable, transcript.utterances))
    changed = any(one is not other for one, other in zip(utterances, transcript.utterances, strict=True))
    return replace(transcript, utterances=utterances) if changed else transcript


def _readable(utterance: Utterance) -> Utterance:
    speaker = utterance.speaker and (_word(utterance.speaker))
    clean = all(map(_is_text, (utterance.text, *(word.text for word in utterance.words))))
    if clean and speaker == utterance.speaker:
        return utterance
    words = tuple(_readable_word(word) for word in utterance.words)
    text = join_words(word.text for word in words) if words else one_line(utterance.text)
    return replace(utterance, text=text, words=words, speaker=speaker)


def _readable_word(word: Word) -> Word:
    return word if _is_text(word.text) else replace(word, text=_word(word.text))


def _is_text(text: str) -> bool:
    return _NO_TEXT.search(text) is None and text == text.strip() and "  " not in text


def _word(text: str) -> str:
    """Return a text that may stand as a word or a name: not empty, for no word is dropped."""
    return one_line(text) or "\N{REPLACEMENT CHARACTER}"


def _full_width(found: re.Match[str]) -> str:
    return _FULL_WIDTH[found[0]]
