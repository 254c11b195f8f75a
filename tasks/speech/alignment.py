"""Giving times to the words as they are written.

An API may time bare words ("mid", "july") while its text is punctuated ("mid-July,"). The text is what
is published; the times are carried over to it, and no word of the text is lost or moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from tasks.speech.text import spoken_form
from tasks.speech.words import Region, Word


def align(written: Sequence[str], timed: Sequence[Word], bounds: Region) -> list[Word]:
    """Give each written word the time of the timed word that it is.

    Args:
        written: the words as they stand in the text.
        timed: words with times, in order; their spelling may differ.
        bounds: where the whole stretch lies; times stay inside it.

    Returns:
        One word for each of ``written``, in order, starts never going back. Words without a
        counterpart share the time between their neighbours by their length.
    """
    keys = [spoken_form(word) for word in written]
    timed_keys = [spoken_form(word.text) for word in timed]
    if keys == timed_keys:
        return [_as_written(text, word) for text, word in zip(written, timed, strict=True)]
    # What is not spoken is a word of its own for some and not for others: compared, it would be in the way.
    spoken = [index for index, key in enumerate(keys) if key]
    timed = [word for word, key in zip(timed, timed_keys, strict=True) if key]
    aligned: list[Word | None] = [None] * len(written)
    matcher = SequenceMatcher(
        None, [keys[index] for index in spoken], [key for key in timed_keys if key], autojunk=False
    )
    for kind, first, end, timed_first, timed_end in matcher.get_opcodes():
        places = spoken[first:end]
        if kind == "equal":
            words = [
                _as_written(written[place], word)
                for place, word in zip(places, timed[timed_first:timed_end], strict=True)
            ]
        elif kind == "replace":
            span = Region(timed[timed_first].start_ms, timed[timed_end - 1].end_ms)
            words = spread([written[place] for place in places], [span])
        else:
            continue
        for place, word in zip(places, words, strict=True):
            aligned[place] = word
    return _fill(written, aligned, bounds)


def spread(written: Sequence[str], regions: Sequence[Region]) -> list[Word]:
    """Spread words over the time of regions, by their number of characters.

    A word never lies across the gap between two regions: it goes to the side where its middle falls.
    """
    if not written:
        return []
    total_ms = sum(region.duration_ms for region in regions)
    weights = [len(word) + 1 for word in written]
    scale = total_ms / sum(weights)
    words = []
    position = 0
    for text, weight in zip(written, weights, strict=True):
        begin, end = position * scale, (position + weight) * scale
        words.append(_place(text, begin, end, regions))
        position += weight
    return words


def _place(text: str, begin: float, end: float, regions: Sequence[Region]) -> Word:
    """Place a word that lies at begin..end ms of the regions' joined time."""
    middle = (begin + end) / 2
    before = 0
    for region in regions:
        if middle < before + region.duration_ms or region is regions[-1]:
            shift = region.start_ms - before
            start_ms = max(region.start_ms, round(begin + shift))
            return Word(text, start_ms, max(start_ms, min(region.end_ms, round(end + shift))))
        before += region.duration_ms
    raise ValueError("no regions to place words in")


def _as_written(text: str, word: Word) -> Word:
    return Word(text, word.start_ms, word.end_ms, word.confidence)


def _fill(written: Sequence[str], aligned: list[Word | None], bounds: Region) -> list[Word]:
    """Give the words that have no time yet the time between their neighbours."""
    filled: list[Word] = []
    index = 0
    while index < len(aligned):
        word = aligned[index]
        if word is not None:
            filled.append(word)
            index += 1
            continue
        end = index
        while end < len(aligned) and aligned[end] is None:
            end += 1
        following = aligned[end] if end < len(aligned) else None
        start_ms = filled[-1].end_ms if filled else bounds.start_ms
        end_ms = following.start_ms if following else bounds.end_ms
        filled.extend(spread(written[index:end], [Region(start_ms, max(start_ms, end_ms))]))
        index = end
    return filled
