"""Holes: stretches in which somebody speaks and no word stands.

Levels and words say where to look, a voice detector says whether it is speech. Where it is deaf to the very
words that stand beside a hole, it cannot be held against it: then levels decide, and the hole is suspect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from stenoflow.tasks.transcript.regions import FRAME_MS
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
# Without a voice for so long, what sounds is no speech, but at its edges, where times are not so exact.
_LEAST_UNVOICED_MS, _EDGE_MS = 3_000, 300
# Of a hole, so much must be voice: a laugh or a cough has less.
_LEAST_VOICE_MS = 2_500
# In 4 s of each turn the detector must somewhere be sure of so much: of speech, also in noise at 5 dB or of
# a hoarse speaker, it is of 2.6 s and more (mostly through a telephone, too), of laughter and a party of 2
# s at most.
_LEAST_CLEAR_MS = 2_400
# Of a crowd the level moves by less than so many dB, and by so many less than that of the words beside it: of
# eight voices by 6 to 8, of one by 12 to 21, in noise at 5 dB by 8.5 to 10.
_CROWD_DB, _LESS_DB = 8.0, 4.0
# So many levels, of a second together, say how much they move.
_LEAST_FRAMES = 100
# A detector that hears less than this share of so many words is deaf to the voice.
_DEAF = 0.2
_LEAST_WORDS = 10
# Nobody who speaks says fewer words a second for so long; of ideographs and kana, twice as many.
_FEWEST_WORDS_A_SECOND = 0.8
_LEAST_SPEECH_MS = 15_000


@dataclass(frozen=True, slots=True)
class Voice:
    """What a voice detector hears in a stretch.

    Attributes:
        regions: where somebody speaks, in order and apart.
        clear: where the detector is sure of it.
        levels: of what may be speech, in dBFS, one per 10 ms from the beginning of the stretch.
    """

    stretch: Region
    regions: Sequence[Region]
    clear: Sequence[Region]
    levels: Sequence[float] = ()


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


def judge(wordless: Region, voice: Voice, words: Sequence[Word]) -> list[Hole]:
    """Return the holes in a wordless stretch.

    Args:
        wordless: the stretch.
        voice: what the detector hears in the stretch and `NEAR_MS` round it.
        words: all words of the answer.
    """
    near = Region(wordless.start_ms - NEAR_MS, wordless.end_ms + NEAR_MS)
    if _is_deaf(near, voice.regions, words):
        return [Hole(wordless, sure=False)]
    return [
        Hole(Region(turn[0].start_ms, turn[-1].end_ms), sure=True)
        for turn in _turns(_within(voice.regions, wordless))
        if turn[-1].end_ms - turn[0].start_ms >= LEAST_MS
        and total_ms(turn) >= _LEAST_VOICE_MS
        and _is_clear(turn, voice.clear)
        and not _is_crowd(turn, voice, words)
    ]


def _is_clear(turn: Sequence[Region], clear: Sequence[Region]) -> bool:
    """Tell whether a turn is speech rather than laughter, cries or song."""
    sure = list(_within(clear, Region(turn[0].start_ms, turn[-1].end_ms)))
    return any(
        total_ms(_within(sure, Region(each.start_ms, each.start_ms + LEAST_MS))) >= _LEAST_CLEAR_MS
        for each in sure
    )


def _is_crowd(turn: Iterable[Region], voice: Voice, words: Iterable[Word]) -> bool:
    """Tell whether so many speak at once, unlike beside it, that nobody can be understood."""
    moves = _moves_db(turn, voice)
    beside = _moves_db(
        (Region(word.start_ms, min(word.end_ms, word.start_ms + _LONGEST_WORD_MS)) for word in words), voice
    )
    return moves is not None and beside is not None and moves < _CROWD_DB and moves + _LESS_DB <= beside


def _moves_db(regions: Iterable[Region], voice: Voice) -> float | None:
    """Return by how much the level moves, between the softer and the louder sounds; None of too little."""
    begin = voice.stretch.start_ms
    levels = sorted(
        level
        for region in _within(regions, voice.stretch)
        for level in voice.levels[(region.start_ms - begin) // FRAME_MS : (region.end_ms - begin) // FRAME_MS]
    )
    return levels[len(levels) * 9 // 10] - levels[len(levels) // 4] if len(levels) >= _LEAST_FRAMES else None


def find_unvoiced(voice: Voice, words: Iterable[Word]) -> list[Region]:
    """Return where in a stretch nobody speaks, whatever the levels say.

    Args:
        voice: what the detector hears in it.
        words: all words of the answer; what a detector says that is deaf to them does not count.
    """
    if _is_deaf(voice.stretch, voice.regions, words):
        return []
    edges = [
        voice.stretch.start_ms,
        *(edge for each in voice.regions for edge in (each.start_ms, each.end_ms)),
    ]
    pauses = zip(edges[::2], [*edges[1::2], voice.stretch.end_ms], strict=True)
    return [
        Region(start_ms + _EDGE_MS, end_ms - _EDGE_MS)
        for start_ms, end_ms in pauses
        if end_ms - start_ms >= _LEAST_UNVOICED_MS
    ]


def _is_deaf(near: Region, voice: Sequence[Region], words: Iterable[Word]) -> bool:
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
