"""Chat without a language model: minutes and short replies made of sentences of the user's last message.

The central sentences make the summary and the reply; decisions, actions and questions are found by plain
English cues, so what is said otherwise is missed. Nothing in a message is an instruction to this model.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sentencex import segment

from stenoflow.tasks.engine.api_errors import invalid
from stenoflow.tasks.engine.request_schema import ChatForm
from stenoflow.tasks.engine.responses import ChatReply
from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.running import Bounds, running
from stenoflow.tasks.transcript.minutes import SECTIONS
from stenoflow.tasks.transcript.text import ends_sentence, split_words, spoken_form

_MOST_ENTRIES, _LONGEST_SUMMARY, _REPLY_SENTENCES = 12, 8, 2
_FEWEST_WORDS, _LONGEST_SENTENCE, _TOO_ALIKE = 4, 400, 0.6
# "[12] 00:12:34 Anna: text": the time and the name may be missing.
_LINE = re.compile(
    r"\s*\[(?P<line>\d{1,9})\]\s*(?:\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?\s+)?"
    r"(?:(?P<speaker>[^\W_][^:\s\[\]]*(?: [^:\s\[\]]+){0,2}):\s+)?(?P<text>\S.*)"
)
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "about also been could from have just more some than that their them then there they think this "
        "very well were what when where which will with would your",
    )
)


def _cue(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


_COURTESY = _cue(r"hello|hi|good (morning|afternoon|evening|day)|thank you|thanks|bye|goodbye")
_DECISION = _cue(
    r"(we|they|everyone|everybody)( have|'ve)?( \w+)? (decided?|agreed?|approved?|settled on)"
    r"|(it is|it's|that is|that's) (decided|agreed|settled)|the decision is"
    r"|(let's|let us) agree|(let's|let us|we will|we'll) go (with|for|ahead)"
)
# Not "they will", which tells what is going to happen more often than who is to do it.
_DOES = r"(?: (?:will|shall)|'ll|(?: (?:am|are|is)|'m|'re|'s) going to| (?:needs?|have|has) to) \w+"
_ACTION = _cue(rf"(?P<who>i|we|you){_DOES}|let's|let us|action item|please")
_REQUEST = _cue(r"(can|could|would|will) you")
_ASKS = _cue(
    r"who|what|when|where|why|how|which|whose|(do|did|should|can|could|will) we|(is|are) there"
    r"|(can|could|would|will) you"
)
_OPEN = _cue(
    r"open question|(it is|it's|is) (not clear|unclear|still open)|(don't|do not) know yet"
    r"|to be (decided|determined)|(need|have) to find out"
)
_NOTHING_ASKED = _cue(r"(any|anything|something) else|how are you")
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = (
    "(?:january|february|march|april|june|july|august|september|october|november|december"
    # Without a number, "may" may be no month.
    r"|may(?= \w*\d))(?: \w*\d\w*)?"
)
_DUE = _cue(
    rf"(next|this|the end of( the| this| next)?) (week|month|quarter|year|{_DAY})|the end of the day"
    rf"|({_DAY}|tomorrow)( (morning|afternoon|evening|night))?|tonight|today"
    rf"|(the \w+ (week )?of )?{_MONTH}|\d{{4}}-\d{{2}}-\d{{2}}"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a message, with the number of its line and who says it."""

    text: str
    line: int
    speaker: str | None = None


def split_sentences(message: str) -> list[Sentence]:
    """Split a message into sentences; if lines are numbered, only those count: the others are about them."""
    lines = [
        Sentence(match["text"].strip(), int(match["line"]), match["speaker"])
        for match in map(_LINE.fullmatch, message.splitlines())
        if match
    ] or [Sentence(text.strip(), n) for n, text in enumerate(message.splitlines(), 1) if text.strip()]
    is_punctuated = 3 * sum(ends_sentence(line.text) for line in lines) >= len(lines)
    joined: list[Sentence] = []
    for line in lines:
        last = joined[-1] if joined else line
        is_broken_off = joined and last.speaker == line.speaker and not ends_sentence(last.text)
        if is_punctuated and is_broken_off and len(last.text) + len(line.text) < _LONGEST_SENTENCE:
            joined[-1] = replace(last, text=f"{last.text} {line.text}")
        else:
            joined.append(line)
    parts = ((each, part.strip()) for each in joined for part in segment("en", each.text))
    return [replace(each, text=part) for each, part in parts if part]


def pick_central(sentences: Sequence[Sentence], most: int) -> list[Sentence]:
    """Pick up to ``most`` sentences whose words the others share, no two alike, in their order."""
    long = [each for each in sentences if len(split_words(each.text)) >= _FEWEST_WORDS] or list(sentences)
    terms = [_terms(each.text) for each in long]
    shared = Counter(term for each in terms for term in each)
    scores = [sum(shared[term] - 1 for term in each) / math.sqrt(len(each) + 1) for each in terms]
    chosen: list[int] = []
    for index in sorted(range(len(long)), key=lambda index: -scores[index]):
        mine, others = terms[index], (terms[other] for other in chosen)
        if len(chosen) < most and not any(
            len(mine & other) > _TOO_ALIKE * min(len(mine), len(other)) for other in others
        ):
            chosen.append(index)
    return [long[index] for index in sorted(chosen)]


def _terms(text: str) -> frozenset[str]:
    """Return the words that tell what a text is about; English ones are longer than three letters."""
    forms = map(spoken_form, split_words(text))
    return frozenset(form for form in forms if form and (len(form) > 3 or not form.isascii())) - _COMMON


def sections_of(sentence: Sentence, names: Collection[str]) -> Iterator[str]:
    """Yield the sections of the minutes, besides the summary, in which a sentence belongs."""
    text = _plain(sentence.text)
    if len(split_words(text)) < _FEWEST_WORDS:
        return
    # A recogniser that writes no punctuation leaves only the first words to tell a question by.
    is_asked = text.endswith("?") or (not ends_sentence(text) and _ASKS.match(text) is not None)
    is_request = _REQUEST.search(text) is not None
    is_decision = not is_asked and _DECISION.search(text) is not None
    if is_decision:
        yield "decisions"
    if is_request or (not is_asked and not is_decision and (_ACTION.search(text) or _named(text, names))):
        yield "action_items"
    if _OPEN.search(text) or (is_asked and not is_request and not _NOTHING_ASKED.search(text)):
        yield "open_questions"


def owner_of(sentence: Sentence, names: Collection[str]) -> str | None:
    """Return who is to do it: the person named, or the speaker of "I will"."""
    text = _plain(sentence.text)
    action = _ACTION.search(text)
    speaker = sentence.speaker if action and (action["who"] or "").lower() == "i" else None
    return _named(text, names) or speaker


def due_of(sentence: Sentence) -> str | None:
    """Return the words that say by when it is to be done."""
    due = _DUE.search(_plain(sentence.text))
    return due[0] if due else None


def _named(text: str, names: Collection[str]) -> str | None:
    """Return the name of the one who will do something, or is asked to."""
    for name in names:
        who = re.escape(name)
        if _cue(rf"{who}{_DOES}|{who},? (please|can|could|would|will)|please,? {who}").search(text):
            return name
    return None


def _plain(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").split())


def make_minutes(sentences: Sequence[Sentence], most: int = _MOST_ENTRIES) -> dict[str, list[dict[str, Any]]]:
    """Make minutes by `SCHEMA`, with at most ``most`` entries in a section."""
    names = sorted({each.speaker for each in sentences if each.speaker})
    sections: dict[str, list[Sentence]] = {name: [] for name in SECTIONS}
    for each in sentences:
        for name in sections_of(each, names):
            sections[name].append(each)
    picked = {name: pick_central(fitting, most) for name, fitting in sections.items()}
    picked["summary"] = summarise(sentences, min(most, _LONGEST_SUMMARY, round(math.sqrt(len(sentences)))))
    return {
        name: [
            {"text": each.text, "line": each.line}
            | ({"owner": owner_of(each, names), "due": due_of(each)} if name == "action_items" else {})
            for each in chosen
        ]
        for name, chosen in picked.items()
    }


def summarise(sentences: Sequence[Sentence], most: int) -> list[Sentence]:
    """Pick the sentences that say most of the whole; greetings and thanks only if there is nothing else."""
    if len(sentences) <= most:
        return list(sentences)
    return pick_central([each for each in sentences if not _COURTESY.match(each.text)] or sentences, most)


def reply_to(form: ChatForm) -> ChatReply:
    """Reply to a message out of its own sentences, within the words that the reply may have."""
    sentences = split_sentences(form.message)
    if form.wants_minutes:
        # JSON cannot be cut off, so entries are left out until the words are few enough.
        written = (
            json.dumps(make_minutes(sentences, most), ensure_ascii=False)
            for most in range(_MOST_ENTRIES, 0, -1)
        )
        fitting = (each for each in written if len(each.split()) <= form.most_words)
        return ChatReply(next(fitting, json.dumps(make_minutes(sentences, 0))))
    said = ["You said:", *(each.text for each in summarise(sentences, _REPLY_SENTENCES))]
    words = " ".join(said if sentences else ["You said nothing."]).split()
    return ChatReply(" ".join(words[: form.most_words]), "length" if len(words) > form.most_words else "stop")


# A longer message is replied to in a process of its own: some take for ever, a process can be ended, and
# beside one of Python's own regular expressions nothing else runs. Starting it takes longer than a reply to a
# short message.
_SHORT, _LONGEST_REPLY = 8_000, 8 << 20
_BOUNDS = Bounds(cpu_s=30)
_LONGEST_S = 300.0


async def reply_within_bounds(form: ChatForm) -> ChatReply:
    """Reply to a message, or give it up: in bounded time and memory, whatever it says.

    Raises:
        ApiErrorReply: it takes too much.
    """
    try:
        return await asyncio.to_thread(reply_to if len(form.message) <= _SHORT else _reply_apart, form)
    except MediaError as error:
        said = "This message takes too long to reply to; shorten it"
        raise invalid("messages", said, "too_complex") from error


def _reply_apart(form: ChatForm) -> ChatReply:
    command = [sys.executable, "-P", "-m", __name__]
    with running(
        command, what="the message", writes=True, reads=True, bounds=_BOUNDS, stall_s=_LONGEST_S
    ) as program:
        program.write(json.dumps(asdict(form)).encode())
        program.end_input()
        answer = program.read(_LONGEST_REPLY)
        ended = program.finish()
        if ended.code:
            raise program.error("took too much", ended)
    return ChatReply(**json.loads(answer))


if __name__ == "__main__":
    json.dump(asdict(reply_to(ChatForm(**json.load(sys.stdin)))), sys.stdout)
