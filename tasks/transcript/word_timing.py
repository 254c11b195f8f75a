"""Word timing: each word gets the time that the model gave it, or an estimate over the regions of speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from stenoflow.tasks.transcript.text import ends_sentence, join_words, split_words, spoken_form
from stenoflow.tasks.transcript.types import Region, Timing, Utterance, Word


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
    return fill_gaps(written, aligned, bounds)


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


def fill_gaps(written: Sequence[str], aligned: Sequence[Word | None], bounds: Region) -> list[Word]:
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


# Words further apart than this belong to different utterances.
_PAUSE_MS = 1_000
_LONGEST_UTTERANCE_WORDS = 40


@dataclass(frozen=True, slots=True)
class UntimedTranscript:
    """The answer of an API for one segment; times in ms from the segment's start."""

    text: str
    utterances: tuple[Utterance, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class TimedTranscript:
    """A segment's transcript in which every word has a time; ``aligner``: who found them, where one did."""

    utterances: tuple[Utterance, ...]
    timing: Timing
    aligner: str | None = None


def written_words(answer: UntimedTranscript) -> list[str]:
    """Return the words of an answer as they are timed: those of its utterances, where it has any."""
    if answer.utterances:
        return [word for each in answer.utterances for word in split_words(each.text)]
    return split_words(answer.text)


@dataclass(frozen=True, slots=True)
class AlignedWords:
    """What an aligner found.

    Attributes:
        aligner: its name and version.
        words: all words as written; those that it did not find have the time between their neighbours.
    """

    aligner: str
    words: tuple[Word, ...]


def time_words(
    answer: UntimedTranscript,
    duration_ms: int,
    speech: Sequence[Region],
    aligned: AlignedWords | None = None,
) -> TimedTranscript:
    """Time every word of an answer.

    Args:
        answer: what the API returned.
        duration_ms: the segment's length; no time leaves it.
        speech: regions of speech in the segment, used where the answer has no times.
        aligned: its words as `written_words`, with the times that an aligner found.
    """
    whole = Region(0, duration_ms)
    if aligned is not None:
        timed = _by_words(replace(answer, words=aligned.words), whole)
        return TimedTranscript(timed, Timing.ALIGNED, aligned.aligner)
    if answer.words:
        return TimedTranscript(_by_words(answer, whole), Timing.WORD)
    if answer.utterances:
        return TimedTranscript(_by_utterances(answer.utterances, whole), Timing.SEGMENT)
    words = spread(split_words(answer.text), list(speech) or [whole])
    return TimedTranscript(group(words), Timing.ESTIMATED)


def shifted(transcript: TimedTranscript, by_ms: int) -> TimedTranscript:
    """Move a transcript on its timeline."""
    return TimedTranscript(
        tuple(
            replace(
                each,
                start_ms=each.start_ms + by_ms,
                end_ms=each.end_ms + by_ms,
                words=tuple(
                    replace(word, start_ms=word.start_ms + by_ms, end_ms=word.end_ms + by_ms)
                    for word in each.words
                ),
            )
            for each in transcript.utterances
        ),
        transcript.timing,
        transcript.aligner,
    )


def _by_words(answer: UntimedTranscript, whole: Region) -> tuple[Utterance, ...]:
    timed = [piece for word in answer.words for piece in _pieces(_clip(word, whole))]
    texts = [split_words(utterance.text) for utterance in answer.utterances]
    if not texts:
        written = split_words(answer.text) or [word.text for word in timed]
        return group(align(written, timed, whole))
    aligned = align([word for text in texts for word in text], timed, whole)
    utterances = []
    position = 0
    for utterance, text in zip(answer.utterances, texts, strict=True):
        words = tuple(aligned[position : position + len(text)])
        position += len(text)
        if words:
            utterances.append(_around(words, utterance))
    return tuple(utterances)


def _pieces(word: Word) -> list[Word]:
    """Cut a word of a model as text is cut: where a script has no spaces, it is several of ours."""
    pieces = split_words(word.text)
    if len(pieces) < 2:
        return [word]
    spread_ = spread(pieces, [Region(word.start_ms, word.end_ms)])
    return [replace(piece, confidence=word.confidence) for piece in spread_]


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
