"""Find crosstalk: words of one speaker that are also in the channel of another, whose microphone they reach.

The same word within 0.3 s in two channels is one word; it is kept where it is louder. Where both are about as
loud (one microphone on both channels, or an engine that is unsure of a word's time), what was decided of the
words next to it holds for it too, so that one sentence is not torn between two speakers.

A voice from afar is often misrecognised, and then no words are the same. So a word is left out as well where
it is far softer than another channel is at that moment, and than its own channel is when its own speaker
speaks.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from stenoflow.tasks.transcript.text import spoken_form
from stenoflow.tasks.transcript.types import Utterance, Word

LEVEL_MS = 50
"""How much of a channel one level stands for."""

SILENCE_DB = -100.0
"""Where a channel has no speech, nothing is louder than this."""

_APART_MS = 300
_STEP_MS = 10
# A difference of less than this is none.
_CLEAR_DB = 1.0
FAR_DB = 15.0
"""A voice from afar is softer by more, both than the channel's own and than it is where it is spoken.

Soft speech of the channel's own would have to be both while another speaks.
"""

# Clicks are shorter, in all; who speaks at all, speaks for a second.
_OWN_VOICE_MS = 1_000
# How far a decision reaches to words that are about as loud in both.
_REACH_MS = 2_000


@dataclass(slots=True)
class Levels:
    """How loud a channel is where someone may be speaking in it.

    Attributes:
        starts_ms: where each stretch begins, on the recording's timeline, in order.
        stretches: of each, the levels of its every 50 ms, in dBFS.
    """

    starts_ms: list[int] = field(default_factory=list)
    stretches: list[Sequence[int]] = field(default_factory=list)

    def add(self, start_ms: int, levels: Sequence[int]) -> None:
        """Add a stretch, which begins no earlier than the one before."""
        self.starts_ms.append(max(start_ms, self.starts_ms[-1] if self.starts_ms else start_ms))
        self.stretches.append(levels)

    def of(self, word: Word) -> float:
        """Return how loud it is while a word is spoken."""
        end_ms = max(word.end_ms, word.start_ms + 1)
        moments = range(word.start_ms + _STEP_MS // 2, end_ms + _STEP_MS // 2, _STEP_MS)
        return sum(map(self._at, moments)) / len(moments)

    def of_voice(self) -> float:
        """Return how loud the channel's own speaker is: the level that it reaches for a second in all."""
        cells = (level for stretch in self.stretches for level in stretch)
        return min(heapq.nlargest(_OWN_VOICE_MS // LEVEL_MS, cells), default=SILENCE_DB)

    def _at(self, at_ms: int) -> float:
        index = bisect_right(self.starts_ms, at_ms) - 1
        if index < 0:
            return SILENCE_DB
        cell = (at_ms - self.starts_ms[index]) // LEVEL_MS
        return self.stretches[index][cell] if cell < len(self.stretches[index]) else SILENCE_DB


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A word at its place: the number of its utterance, and its own in that."""

    place: tuple[int, int]
    word: Word


@dataclass(frozen=True, slots=True)
class _Match:
    """One word that is in two channels, and by how much it is louder in the first."""

    one: _Spoken
    other: _Spoken
    louder_db: float

    @property
    def at_ms(self) -> int:
        return self.one.word.start_ms


def echoes(channels: Sequence[Sequence[Utterance]], levels: Sequence[Levels]) -> list[set[tuple[int, int]]]:
    """Find the words that belong to another channel.

    Args:
        channels: the utterances of each, by time.
        levels: how loud each is.

    Returns:
        For each channel the words to be left out, as (number of the utterance, number of the word in it). Of
        words that are the same, one is in no set.
    """
    spoken = [_by_form(utterances) for utterances in channels]
    left_out = [_from_afar(number, utterances, levels) for number, utterances in enumerate(channels)]
    for one, other in combinations(range(len(channels)), 2):
        matches = sorted(
            _matches(spoken[one], spoken[other], levels[one], levels[other]), key=lambda m: m.at_ms
        )
        for match, is_first in zip(matches, _first_keeps(matches), strict=True):
            # One that was found to be a third channel's says nothing of these two.
            if match.one.place not in left_out[one] and match.other.place not in left_out[other]:
                loser, place = (other, match.other.place) if is_first else (one, match.one.place)
                left_out[loser].add(place)
    return left_out


def _from_afar(
    channel: int, utterances: Sequence[Utterance], levels: Sequence[Levels]
) -> set[tuple[int, int]]:
    own, others = levels[channel], [each for number, each in enumerate(levels) if number != channel]
    faint_db = own.of_voice() - FAR_DB
    return {
        (number, index)
        for number, utterance in enumerate(utterances)
        for index, word in enumerate(utterance.words)
        for level in [own.of(word)]
        if level <= faint_db and any(other.of(word) >= level + FAR_DB for other in others)
    }


def _by_form(utterances: Sequence[Utterance]) -> dict[str, list[_Spoken]]:
    forms: dict[str, list[_Spoken]] = defaultdict(list)
    for number, utterance in enumerate(utterances):
        for index, word in enumerate(utterance.words):
            forms[spoken_form(word.text) or word.text].append(_Spoken((number, index), word))
    for each in forms.values():
        each.sort(key=lambda spoken: spoken.word.start_ms)
    return forms


def _matches(
    ones: dict[str, list[_Spoken]], others: dict[str, list[_Spoken]], one_db: Levels, other_db: Levels
) -> Iterator[_Match]:
    for form in ones.keys() & others.keys():
        for one, other in _pairs(ones[form], others[form]):
            yield _Match(one, other, one_db.of(one.word) - other_db.of(other.word))


def _pairs(ones: Sequence[_Spoken], others: Sequence[_Spoken]) -> Iterator[tuple[_Spoken, _Spoken]]:
    """Pair occurrences of one word, in order."""
    i = j = 0
    while i < len(ones) and j < len(others):
        apart_ms = ones[i].word.start_ms - others[j].word.start_ms
        if abs(apart_ms) <= _APART_MS:
            yield ones[i], others[j]
        i += apart_ms <= _APART_MS
        j += apart_ms >= -_APART_MS


def _first_keeps(matches: Sequence[_Match]) -> Iterable[bool]:
    """Return for each match whether the first channel keeps the word; it does where nothing decides."""
    clear = [match for match in matches if abs(match.louder_db) >= _CLEAR_DB]
    times = [match.at_ms for match in clear]
    for match in matches:
        if abs(match.louder_db) >= _CLEAR_DB:
            yield match.louder_db > 0
            continue
        after = bisect_right(times, match.at_ms)
        near = [each for each in clear[max(0, after - 1) : after + 1] if _apart(each, match) <= _REACH_MS]
        yield min(near, key=lambda each: _apart(each, match)).louder_db > 0 if near else True


def _apart(one: _Match, other: _Match) -> int:
    return abs(one.at_ms - other.at_ms)
