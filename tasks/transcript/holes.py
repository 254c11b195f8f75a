"""Holes: stretches in which somebody speaks and no word stands.

Levels and words say where to look, a voice detector says whether it is speech. Where it is deaf to the very
words that stand beside a hole, it cannot be held against it: then levels decide, and the hole is suspect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from stenoflow.tasks.transcript.stitching import of_words
from stenoflow.tasks.transcript.text import is_unspaced
from stenoflow.tasks.transcript.types import Region, Utterance, Word

LEAST_MS = 4_000
"""Speech without a word for at least so long is a hole."""
NEAR_MS = 10_000
"""How far round a hole its words tell whether the detector hears this voice at all."""

# A word covers no more than this of its time: models stretch the last one before a hole over all of it.
_LONGEST_WORD_MS = 1_500
# Voice with pauses up to this is one turn.
_PAUSE_MS = 2_000
# Of a hole, so much must be voice: a laugh or a cough has less.
_LEAST_VOICE_MS = 2_500
# A detector that hears less than this share of so many words is deaf to the voice.
_DEAF = 0.2
_LEAST_WORDS = 10
# Nobody who speaks says fewer words a second for so long; of ideographs and kana, twice as many.
_FEWEST_WORDS_A_SECOND = 0.8
_LEAST_SPEECH_MS = 15_000


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch that has no words.

    Attributes:
        sure: somebody surely speaks in it.
    """

    region: Region
    sure: bool


def find_wordless(words: Sequence[Word], speech: Sequence[Region], duration_ms: int) -> list[Region]:
    """Return the stretches of at least `LEAST_MS` of speech, by the levels, in which no word stands.

    Args:
        words: in any order.
        speech: regions of speech by level, in order and apart.
        duration_ms: how long the sound is.
    """
    return [
        Region(parts[0].start_ms, parts[-1].end_ms)
        for gap in _gaps(words, duration_ms)
        if (parts := list(_within(speech, gap))) and total_ms(parts) >= LEAST_MS
    ]


def _gaps(words: Iterable[Word], duration_ms: int) -> Iterator[Region]:
    covered_ms = 0
    for word in sorted(words, key=lambda word: word.start_ms):
        if word.start_ms > covered_ms:
            yield Region(covered_ms, word.start_ms)
        covered_ms = max(covered_ms, min(word.end_ms, word.start_ms + _LONGEST_WORD_MS))
    if covered_ms < duration_ms:
        yield Region(covered_ms, duration_ms)


def judge(wordless: Region, voice: Sequence[Region], words: Iterable[Word]) -> list[Hole]:
    """Return the holes in a wordless stretch.

    Args:
        wordless: the stretch.
        voice: where the detector hears a voice, in the stretch and `NEAR_MS` round it; in order and apart.
        words: all words of the answer.
    """
    if _is_deaf(wordless, voice, words):
        return [Hole(wordless, sure=False)]
    return [
        Hole(Region(turn[0].start_ms, turn[-1].end_ms), sure=True)
        for turn in _turns(_within(voice, wordless))
        if turn[-1].end_ms - turn[0].start_ms >= LEAST_MS and total_ms(turn) >= _LEAST_VOICE_MS
    ]


def _is_deaf(wordless: Region, voice: Sequence[Region], words: Iterable[Word]) -> bool:
    near = Region(wordless.start_ms - NEAR_MS, wordless.end_ms + NEAR_MS)
    beside = [
        Region(word.start_ms, word.end_ms)
        for word in words
        if near.start_ms <= word.start_ms and word.end_ms <= near.end_ms
    ]
    heard_ms = sum(total_ms(_within(voice, word)) for word in beside)
    return len(beside) >= _LEAST_WORDS and heard_ms < _DEAF * total_ms(beside)


def _turns(voice: Iterable[Region]) -> Iterator[list[Region]]:
    turn: list[Region] = []
    for region in voice:
        if turn and region.start_ms - turn[-1].end_ms > _PAUSE_MS:
            yield turn
            turn = []
        turn.append(region)
    if turn:
        yield turn


def are_too_few(words: Sequence[str], spoken_ms: int) -> bool:
    """Tell whether somebody who speaks for so long must have said more words; ``words`` as split."""
    said = sum(0.5 if is_unspaced(word) else 1 for word in words)
    return spoken_ms >= _LEAST_SPEECH_MS and said * 1_000 < _FEWEST_WORDS_A_SECOND * spoken_ms


def fill(utterances: Iterable[Utterance], others: Iterable[Utterance], hole: Region) -> tuple[Utterance, ...]:
    """Return utterances with the words of others that lie in a hole; who speaks them is not known."""
    found = [
        replace(of_words(each, words), speaker=None)
        for each in others
        if (words := [word for word in each.words if hole.start_ms <= _middle(word) < hole.end_ms])
    ]
    parted = part_at(utterances, hole)
    return tuple(sorted([*parted, *found], key=lambda each: each.start_ms))


def part_at(utterances: Iterable[Utterance], hole: Region) -> tuple[Utterance, ...]:
    """Part utterances at a hole, so that none lies across it; their words end before it."""
    return tuple(
        of_words(each, [_ending_before(word, hole) for word in words])
        for each in utterances
        for _, words in groupby(each.words, key=lambda word: _middle(word) >= hole.end_ms)
    )


def _middle(word: Word) -> int:
    """Return the middle of a word; one that is stretched counts by its beginning."""
    return (word.start_ms + min(word.end_ms, word.start_ms + _LONGEST_WORD_MS)) // 2


def _ending_before(word: Word, hole: Region) -> Word:
    if word.start_ms < hole.start_ms < word.end_ms:
        return replace(word, end_ms=hole.start_ms)
    return word


def total_ms(regions: Iterable[Region]) -> int:
    """Return how long regions are together."""
    return sum(region.duration_ms for region in regions)


def _within(regions: Iterable[Region], bounds: Region) -> Iterator[Region]:
    """Yield the parts of regions inside bounds."""
    for region in regions:
        start_ms, end_ms = max(region.start_ms, bounds.start_ms), min(region.end_ms, bounds.end_ms)
        if start_ms < end_ms:
            yield Region(start_ms, end_ms)
