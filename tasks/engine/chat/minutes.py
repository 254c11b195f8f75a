"""What can be said of a message: its sentences, by the name of what is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from stenoflow.tasks.engine.chat.cues import Kind, is_courtesy, is_kind
from stenoflow.tasks.engine.chat.ranking import central
from stenoflow.tasks.engine.chat.spoken import Sentence

_MOST = 12
_LONGEST_SUMMARY = 8

# Parts of the names that schemas have for them.
_KINDS = {
    Kind.DECISION: ("decision", "decided", "agreement"),
    Kind.ACTION: ("action", "task", "todo", "to_do", "next_step", "follow_up"),
    Kind.QUESTION: ("question", "open_"),
}


class Minutes:
    """The sentences of a message, picked as they are asked for.

    Args:
        sentences: of the message, in order.
        most: how many may be picked of each kind; fewer make a shorter answer.
    """

    def __init__(self, sentences: Sequence[Sentence], most: int = _MOST) -> None:
        self._sentences = sentences
        self._most = most
        self._picked: dict[Kind | None, list[Sentence]] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """The speakers."""
        return frozenset(each.speaker for each in self._sentences if each.speaker)

    def picked(self, name: str) -> list[Sentence]:
        """Return the sentences for a property of this name; of no kind that is known: the summary."""
        kind = _kind(name)
        if kind not in self._picked:
            self._picked[kind] = self._pick(kind)
        return self._picked[kind]

    def summary(self, most: int) -> list[Sentence]:
        """Return the sentences that say most of the whole; all, where there are no more."""
        if len(self._sentences) <= most:
            return list(self._sentences)
        telling = [each for each in self._sentences if not is_courtesy(each)]
        return central(telling or self._sentences, most)

    def _pick(self, kind: Kind | None) -> list[Sentence]:
        if kind is None:
            return self.summary(min(self._most, _summary_length(len(self._sentences))))
        fitting = [each for each in self._sentences if is_kind(each, kind, self.names)]
        return central(fitting, self._most)


def _kind(name: str) -> Kind | None:
    plain = name.lower().replace("-", "_")
    return next((kind for kind, parts in _KINDS.items() if any(part in plain for part in parts)), None)


def _summary_length(sentences: int) -> int:
    return max(1, min(_LONGEST_SUMMARY, round(math.sqrt(sentences))))
