"""Comparing two transcriptions of the same sound: where they differ by more than two models do.

Both err here and there, and write numbers and names in their own ways. What counts is a row of words that
only one of them has, or that they have entirely otherwise; a negation or a number in which alone they differ;
and times that are not those of the same words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Self

from stenoflow.tasks.transcript.quality import repeated_words
from stenoflow.tasks.transcript.spoken_english import NUMBER_WORDS, number_of, spoken_english
from stenoflow.tasks.transcript.text import is_unspaced, split_words, spoken_form
from stenoflow.tasks.transcript.types import Region, Word

# Equal words that stand alone between two differences are equal by chance.
_LEAST_EQUAL = 3
# So many more words than the other has in the same place; of a text without spaces, characters.
_LEAST_MORE = 6
# So many words that both have, entirely otherwise; and in how few of them they may still agree.
_LEAST_OTHER = 8
_ALIKE = 0.4
_CHARACTERS_A_WORD = 2
# So many words beside a negation or a number that they have alike, and how sure the other one must be.
_LEAST_BESIDE, _LEAST_SURE = 2, 0.5
# What it passed over is beside the words that it lacks, and takes as long as somebody needs to say them.
_BESIDE_MS, _WORDS_A_SECOND = 500, 5
# Models' times differ by less, and by so much only of a word here and there.
_MOST_APART_MS, _LEAST_SHIFTED = 1_500, 8


@dataclass(frozen=True, slots=True)
class Heard:
    """What the second opinion heard.

    Attributes:
        passed_over: where somebody speaks and it has no words; in ms from the sound's start.
    """

    words: tuple[Word, ...]
    passed_over: tuple[Region, ...] = ()


class DifferenceKind(StrEnum):
    """In what two transcriptions differ; seen from the one that is checked."""

    OMISSION = "omission"
    """It has no words for what the other one heard."""
    INVENTION = "invention"
    """It has words where the other one heard none."""
    LOOP = "loop"
    """The same, and they repeat a phrase."""
    OTHERWISE = "otherwise"
    """It has entirely other words."""
    NEGATION = "negation"
    """It denies what the other one heard said, or says what that one heard denied."""
    NUMBER = "number"
    """It has another number."""
    SHIFTED = "shifted"
    """It has the same words at other times."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A stretch in which two transcriptions differ.

    Attributes:
        region: in ms from the sound's start, by the times of the second opinion.
        words: how many words they differ in.
    """

    kind: DifferenceKind
    region: Region
    words: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a second opinion says of an answer.

    Attributes:
        by: names the model, its weights, and how it computes.
        differences: where it differs; mostly nowhere.
    """

    by: str
    differences: tuple[Difference, ...]

    def to_json(self) -> str:
        """Write it to be stored."""
        listed = [
            {"kind": each.kind, "start": each.region.start_ms, "end": each.region.end_ms, "words": each.words}
            for each in self.differences
        ]
        return json.dumps({"by": self.by, "differences": listed})

    @classmethod
    def from_json(cls, stored: str) -> Self:
        """Read what `to_json` wrote."""
        read = json.loads(stored)
        listed = (
            Difference(DifferenceKind(each["kind"]), Region(each["start"], each["end"]), each["words"])
            for each in read["differences"]
        )
        return cls(read["by"], tuple(listed))


@dataclass(frozen=True, slots=True)
class _Gap:
    """A row of words in each of two texts that the other has not, as [first, end) of both."""

    first: int
    end: int
    other_first: int
    other_end: int


def compare(said: str, heard: Heard, duration_ms: int, times: Sequence[Word] = ()) -> tuple[Difference, ...]:
    """Find where a transcription differs from a second opinion.

    Args:
        said: the text that is checked.
        heard: the words of the second opinion, with times; what it passed over is nobody's invention.
        duration_ms: how long the sound is.
        times: the words of the text with the times that it came with, if it did.
    """
    checked = said_words(said)
    timed = [(form, word) for word in heard.words for form in said_words(word.text)]
    other = [form for form, _ in timed]
    unspaced = 2 * sum(map(is_unspaced, other or checked)) > len(other or checked)
    unit = _CHARACTERS_A_WORD if unspaced else 1
    found = []
    for gap in _gaps(checked, other):
        ours, theirs = checked[gap.first : gap.end], other[gap.other_first : gap.other_end]
        kind = _kind(ours, theirs, unit)
        region = _region(gap, timed, duration_ms)
        if kind is DifferenceKind.INVENTION and _is_passed_over(region, len(ours) // unit, heard):
            continue
        if kind is not None:
            found.append(Difference(kind, region, max(len(ours), len(theirs))))
    found += _critical(checked, timed)
    found += _shifted(times, timed)
    return tuple(sorted(found, key=lambda each: each.region.start_ms))


def _critical(checked: Sequence[str], timed: Sequence[tuple[str, Word]]) -> Iterator[Difference]:
    """Yield the negations and numbers in which two texts differ that are alike on both sides."""
    other = [form for form, _ in timed]
    for gap in _alike_beside(checked, other):
        first, end = gap.other_first, gap.other_end
        words, others = checked[gap.first : gap.end], other[first:end]
        if are_negated(words, others):
            kind = DifferenceKind.NEGATION
        elif are_other_numbers(words, others):
            kind = DifferenceKind.NUMBER
        else:
            continue
        # Of a word that the other one has not, those beside it say how sure it is.
        near = [word for _, word in (timed[first:end] or timed[max(0, first - 1) : end + 1])]
        if all(word.confidence is None or word.confidence >= _LEAST_SURE for word in near):
            yield Difference(
                kind, Region(near[0].start_ms, max(word.end_ms for word in near)), len(words) or 1
            )


def _alike_beside(checked: Sequence[str], other: Sequence[str]) -> Iterator[_Gap]:
    """Yield where two texts differ and are alike on both sides; numbers whole."""
    blocks = SequenceMatcher(None, checked, other, autojunk=False).get_matching_blocks()
    for before, after in pairwise(blocks):
        first, other_first = before.a + before.size, before.b + before.size
        end, other_end = after.a, after.b
        left, right = before.size, after.size
        while left and checked[first - 1] in NUMBER_WORDS:
            first, other_first, left = first - 1, other_first - 1, left - 1
        while right and checked[end] in NUMBER_WORDS:
            end, other_end, right = end + 1, other_end + 1, right - 1
        if min(left, right) >= _LEAST_BESIDE:
            yield _Gap(first, end, other_first, other_end)


def _shifted(times: Sequence[Word], timed: Sequence[tuple[str, Word]]) -> Iterator[Difference]:
    """Yield the rows of words that both have, and at times that are too far apart."""
    mine = [(form, word) for word in times for form in said_words(word.text)]
    matcher = SequenceMatcher(None, [form for form, _ in mine], [form for form, _ in timed], autojunk=False)
    pairs = [
        (mine[block.a + at][1], timed[block.b + at][1])
        for block in matcher.get_matching_blocks()
        if block.size >= _LEAST_EQUAL
        for at in range(block.size)
    ]
    for is_far, run in groupby(
        pairs, key=lambda pair: abs(pair[0].start_ms - pair[1].start_ms) > _MOST_APART_MS
    ):
        words = [word for _, word in run]
        if is_far and len(words) >= _LEAST_SHIFTED:
            region = Region(words[0].start_ms, max(word.end_ms for word in words))
            yield Difference(DifferenceKind.SHIFTED, region, len(words))


def still_open(differences: Iterable[Difference], words: Sequence[Word]) -> tuple[Difference, ...]:
    """Leave out omissions that have been filled since: where half of the words are there.

    Args:
        differences: on the recording's timeline.
        words: of the transcript.
    """
    middles = [(word.start_ms + word.end_ms) // 2 for word in words]
    return tuple(
        each
        for each in differences
        if each.kind != DifferenceKind.OMISSION
        or 2 * sum(each.region.start_ms <= middle < each.region.end_ms for middle in middles) < each.words
    )


def _gaps(checked: Sequence[str], other: Sequence[str]) -> Iterator[_Gap]:
    """Yield what lies between rows of equal words."""
    matcher = SequenceMatcher(None, checked, other, autojunk=False)
    first = other_first = 0
    for block in matcher.get_matching_blocks():
        is_last = block.size == 0
        is_edge = (block.a == 0 and block.b == 0) or (block.a + block.size, block.b + block.size) == (
            len(checked),
            len(other),
        )
        if not is_last and not is_edge and block.size < _LEAST_EQUAL:
            continue
        if first < block.a or other_first < block.b:
            yield _Gap(first, block.a, other_first, block.b)
        first, other_first = block.a + block.size, block.b + block.size


def _kind(checked: Sequence[str], other: Sequence[str], unit: int) -> DifferenceKind | None:
    """Name the difference of two rows of words; None where it is as small as models differ."""
    more = len(checked) - len(other)
    if -more >= max(_LEAST_MORE * unit, len(other) // 2):
        return DifferenceKind.OMISSION
    if more >= max(_LEAST_MORE * unit, len(checked) // 2):
        return DifferenceKind.LOOP if repeated_words(checked) else DifferenceKind.INVENTION
    if min(len(checked), len(other)) < _LEAST_OTHER * unit:
        return None
    alike = SequenceMatcher(None, checked, other, autojunk=False).ratio()
    return DifferenceKind.OTHERWISE if alike < _ALIKE else None


def _is_passed_over(region: Region, words: int, heard: Heard) -> bool:
    """Tell whether so many words may be what the second opinion passed over."""
    return any(
        each.start_ms - _BESIDE_MS <= region.end_ms
        and region.start_ms <= each.end_ms + _BESIDE_MS
        and words * 1_000 <= _WORDS_A_SECOND * each.duration_ms
        for each in heard.passed_over
    )


def _region(gap: _Gap, timed: Sequence[tuple[str, Word]], duration_ms: int) -> Region:
    """Return where a gap lies: at its words, or between those around it."""
    inside = timed[gap.other_first : gap.other_end]
    if inside:
        return Region(inside[0][1].start_ms, max(word.end_ms for _, word in inside))
    start_ms = timed[gap.other_first - 1][1].end_ms if gap.other_first else 0
    end_ms = timed[gap.other_end][1].start_ms if gap.other_end < len(timed) else duration_ms
    return Region(min(start_ms, end_ms), max(start_ms, end_ms))


# Critical words: negations and numbers, of which a single one turns what is said into something else. Two
# models write them in their own ways ("3" and "three", "can't" and "cannot"), and mistake many a word for
# one. So what counts is only that both say the same otherwise, word for word, on both sides.

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
