"""A message as sentences, each with the line that it stands on and who said it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sentencex import segment

from stenoflow.tasks.transcript.text import ends_sentence, join_words, split_words

_LONGEST_WORDS = 60
_PUNCTUATED = 1 / 3
_MOST_NAME_WORDS = 3
# "[12] 00:12:34 Anna: text": the line's id, the time where there is one, the name where there is one.
_LINE = re.compile(
    r"\s*\[(?P<line>[^\]\s]{1,40})\]\s*(?:\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?\s+)?"
    r"(?:(?P<speaker>[^\W_][^:\[\]]{0,40}):\s+)?(?P<text>\S.*)"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a message.

    Attributes:
        line: the id of the line on which it begins, as written in brackets; without ids, its number, from 1.
    """

    text: str
    line: str
    speaker: str | None = None

    @property
    def words(self) -> int:
        """How many there are."""
        return len(split_words(self.text))


def sentences_of(message: str) -> list[Sentence]:
    """Cut a message into sentences.

    Where lines begin with an id in brackets, only those count: around a transcript stands what is to be done
    with it.
    """
    lines = list(_marked_lines(message)) or list(_plain_lines(message))
    ended = sum(ends_sentence(line.text) for line in lines)
    joined = _joined(lines) if ended >= _PUNCTUATED * len(lines) else lines
    return [replace(each, text=text) for each in joined for text in _cut(each.text)]


def _marked_lines(message: str) -> Iterator[Sentence]:
    for match in filter(None, map(_LINE.fullmatch, message.splitlines())):
        speaker, text = match["speaker"], match["text"].strip()
        if speaker is not None and len(speaker.split()) > _MOST_NAME_WORDS:
            speaker, text = None, f"{speaker}: {text}"
        yield Sentence(text, match["line"], speaker)


def _plain_lines(message: str) -> Iterator[Sentence]:
    for number, line in enumerate(message.splitlines(), 1):
        if text := line.strip():
            yield Sentence(text, str(number))


def _joined(lines: Iterable[Sentence]) -> Iterator[Sentence]:
    """Join lines that break off with what the same person goes on to say."""
    held: Sentence | None = None
    for line in lines:
        if held is not None and _goes_on(held, line):
            held = replace(held, text=join_words([held.text, line.text]))
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held


def _goes_on(held: Sentence, line: Sentence) -> bool:
    if held.speaker != line.speaker or ends_sentence(held.text):
        return False
    return held.words + line.words <= _LONGEST_WORDS


def _cut(text: str) -> Iterator[str]:
    return (part.strip() for part in segment("en", text) if part.strip())
