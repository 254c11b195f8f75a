"""What a sentence of a meeting is, by plain English cues: a decision, something to do, a question.

The cues are words that people use for these; who says it otherwise is not found, and a dream of "we will" is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import Enum, auto

from stenoflow.tasks.engine.chat.spoken import Sentence
from stenoflow.tasks.transcript.text import ends_sentence

_FEWEST_WORDS = 4
_COURTESY = re.compile(
    r"(hello|hi|good (morning|afternoon|evening|day)|thank you|thanks|bye|goodbye)\b", re.IGNORECASE
)
_DECISION = re.compile(
    r"\b(we|they|everyone|everybody)(\s+have|'ve)?(\s+\w+)?\s+(decided?|agreed?|approved?|settled on)\b"
    r"|\b(it is|it's|that is|that's|then it's)\s+(decided|agreed|settled)\b|\bthe decision is\b"
    r"|\b(let's|let us)\s+agree\b|\b(let's|let us|we will|we'll)\s+go\s+(with|for|ahead)\b",
    re.IGNORECASE,
)
# Not "they will": that tells what is going to happen more often than who is to do it.
_DOES = (
    r"(?:\s+(?:will|shall)|'ll|(?:\s+(?:am|are|is)|'m|'re|'s)\s+going\s+to|\s+(?:needs?|have|has)\s+to)\s+\w"
)
_ACTION = re.compile(
    rf"\b(?P<who>i|we|you){_DOES}|\b(let's|let us|action item|to-do|please)\b", re.IGNORECASE
)
_REQUEST = re.compile(r"\b(can|could|would|will) you\b", re.IGNORECASE)
_OPEN = re.compile(
    r"\b(open question|(it is|it's|is) (not clear|unclear|still open)|(don't|do not) know yet"
    r"|to be (decided|determined)|(need|have) to find out)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"(who|what|when|where|why|how|which|whose|(do|did|should|can|could|will) we|(is|are) there|"
    r"(can|could|would|will) you)\b",
    re.IGNORECASE,
)
_NOTHING_ASKED = re.compile(r"\b(any|anything|something) else\b|\bhow are you\b", re.IGNORECASE)
_DAY = r"(mon|tues|wednes|thurs|fri|satur|sun)day"
# May without a number may be no month.
_MONTH = (
    r"(january|february|march|april|june|july|august|september|october|november|december|may(?=\s+\w*\d))"
    r"(\s+\w*\d\w*)?"
)
_WHEN = (
    rf"(next|this|the end of( the| this| next)?)\s+(week|month|quarter|year|{_DAY})"
    rf"|({_DAY}|tomorrow)(\s+(morning|afternoon|evening|night))?|tonight|today|the end of the day"
    rf"|(the\s+\w+\s+(week\s+)?of\s+)?{_MONTH}|\d{{4}}-\d{{2}}-\d{{2}}"
)
_DUE = re.compile(rf"\b({_WHEN})\b", re.IGNORECASE)


class Kind(Enum):
    """What a sentence may be."""

    DECISION = auto()
    ACTION = auto()
    QUESTION = auto()


def is_kind(sentence: Sentence, kind: Kind, names: Iterable[str] = ()) -> bool:
    """Tell whether the cues of a kind are in a sentence; ``names`` are those of the speakers."""
    text = _plain(sentence.text)
    if sentence.words < _FEWEST_WORDS:
        return False
    is_request = _REQUEST.search(text) is not None
    is_question = _is_asked(text) and not is_request and _NOTHING_ASKED.search(text) is None
    is_decision = not _is_asked(text) and _DECISION.search(text) is not None
    match kind:
        case Kind.DECISION:
            return is_decision
        case Kind.QUESTION:
            return is_question or _OPEN.search(text) is not None
        case Kind.ACTION:
            if is_request:
                return True
            asks_or_decides = _is_asked(text) or is_decision
            return not asks_or_decides and (
                _ACTION.search(text) is not None or _named(text, names) is not None
            )


def is_courtesy(sentence: Sentence) -> bool:
    """Tell whether a sentence greets or thanks."""
    return _COURTESY.match(sentence.text) is not None


def owner_of(sentence: Sentence, names: Collection[str]) -> str | None:
    """Say who is to do it: who is named before "will" or spoken to, or the speaker, of "I will"."""
    text = _plain(sentence.text)
    if name := _named(text, names):
        return name
    match = _ACTION.search(text)
    return sentence.speaker if match and (match["who"] or "").lower() == "i" else None


def due_of(sentence: Sentence) -> str | None:
    """Return the words that say by when, if there are any."""
    match = _DUE.search(_plain(sentence.text))
    return match[0] if match else None


def _named(text: str, names: Iterable[str]) -> str | None:
    """Return the name of the one who will do something, or is asked to."""
    for name in names:
        who = re.escape(name)
        does, asked = rf"{who}{_DOES}", rf"{who},?\s+(please|can|could|would|will)\b"
        if re.search(rf"\b{does}|\b{asked}|\bplease,?\s+{who}\b", text, re.IGNORECASE):
            return name
    return None


def _is_asked(text: str) -> bool:
    # What a recogniser wrote without punctuation is a question by its first words only.
    return text.endswith("?") or (not ends_sentence(text) and _ASKS.match(text) is not None)


def _plain(text: str) -> str:
    return text.strip().replace("\u2019", "'")
