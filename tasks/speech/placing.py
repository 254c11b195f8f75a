"""Turning an API's answer for one segment into utterances of timed words.

Answers differ in what they time: words, utterances, or nothing. What comes out is the same for all:
utterances with words, in ms from the segment's start, and a note of what the times rest on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.speech.alignment import align, spread
from tasks.speech.text import ends_sentence, join_words, split_words
from tasks.speech.transcript import Timing
from tasks.speech.words import Region, Utterance, Word

# Words further apart than this belong to different utterances.
_PAUSE_MS = 1_000
_LONGEST_UTTERANCE_WORDS = 40


@dataclass(frozen=True, slots=True)
class Heard:
    """What an API heard in one segment, as it said it; times in ms from the segment's start."""

    text: str
    utterances: tuple[Utterance, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """The same, every word timed."""

    utterances: tuple[Utterance, ...]
    timing: Timing


def place(heard: Heard, duration_ms: int, speech: Sequence[Region]) -> Placed:
    """Time every word of an answer.

    Args:
        heard: the answer.
        duration_ms: the segment's length; no time leaves it.
        speech: regions of speech in the segment, used where the answer has no times.
    """
    whole = Region(0, duration_ms)
    if heard.words:
        return Placed(_by_words(heard, whole), Timing.WORD)
    if heard.utterances:
        return Placed(_by_utterances(heard.utterances, whole), Timing.SEGMENT)
    words = spread(split_words(heard.text), list(speech) or [whole])
    return Placed(group(words), Timing.ESTIMATED)


def _by_words(heard: Heard, whole: Region) -> tuple[Utterance, ...]:
    timed = [_clip(word, whole) for word in heard.words]
    texts = [split_words(utterance.text) for utterance in heard.utterances]
    if not texts:
        written = split_words(heard.text) or [word.text for word in timed]
        return group(align(written, timed, whole))
    aligned = align([word for text in texts for word in text], timed, whole)
    utterances = []
    position = 0
    for utterance, text in zip(heard.utterances, texts, strict=True):
        words = tuple(aligned[position : position + len(text)])
        position += len(text)
        if words:
            utterances.append(_around(words, utterance))
    return tuple(utterances)


def _by_utterances(utterances: Sequence[Utterance], whole: Region) -> tuple[Utterance, ...]:
    """Spread words within their utterances; one that runs into the next gives way to it."""
    starts = [min(max(whole.start_ms, each.start_ms), whole.end_ms) for each in utterances]
    timed = []
    for each, start_ms, next_ms in zip(utterances, starts, [*starts[1:], whole.end_ms], strict=True):
        end_ms = max(start_ms, min(each.end_ms, next_ms))
        words = tuple(spread(split_words(each.text), [Region(start_ms, end_ms)]))
        if words:
            timed.append(_around(words, each))
    return tuple(timed)


def group(words: Sequence[Word]) -> tuple[Utterance, ...]:
    """Group words into utterances: at the end of sentences, at pauses, and before they grow too long."""
    groups: list[list[Word]] = []
    for word in words:
        if groups and not _parts(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return tuple(_around(tuple(each)) for each in groups)


def _parts(spoken: Sequence[Word], word: Word) -> bool:
    last = spoken[-1]
    return (
        ends_sentence(last.text)
        or word.start_ms - last.end_ms > _PAUSE_MS
        or len(spoken) >= _LONGEST_UTTERANCE_WORDS
    )


def _around(words: tuple[Word, ...], like: Utterance | None = None) -> Utterance:
    text = join_words(word.text for word in words)
    start_ms, end_ms = words[0].start_ms, max(word.end_ms for word in words)
    if like is None:
        return Utterance(text, start_ms, end_ms, words)
    return replace(like, text=text, start_ms=start_ms, end_ms=end_ms, words=words)


def _clip(word: Word, whole: Region) -> Word:
    start_ms = min(max(whole.start_ms, word.start_ms), whole.end_ms)
    return Word(word.text, start_ms, max(start_ms, min(whole.end_ms, word.end_ms)), word.confidence)
