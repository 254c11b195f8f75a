"""Corrections that people made, laid over a transcript: text that is said otherwise, and who says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby

from stenoflow.tasks.transcript.stitching import of_words
from stenoflow.tasks.transcript.text import join_words, split_words
from stenoflow.tasks.transcript.types import Region, Transcript, Utterance, Word
from stenoflow.tasks.transcript.word_timing import align, spread


@dataclass(frozen=True, slots=True)
class TextCorrection:
    """What is said in a stretch.

    Attributes:
        speaker: whose words are meant, where several speak at once; if nobody is called so, all.
    """

    region: Region
    text: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class SpeakerCorrection:
    """Who says what is said in a stretch.

    Attributes:
        before: whose words are meant, as above.
    """

    region: Region
    speaker: str
    before: str | None = None


AnyCorrection = TextCorrection | SpeakerCorrection


def correct(transcript: Transcript, corrections: Iterable[AnyCorrection]) -> Transcript:
    """Apply corrections in the order in which they were made.

    They are laid over whatever is said there now, so that they outlive another model. Words that stay keep
    their times, and those that are new are aligned between them.
    """
    utterances = transcript.utterances
    for each in corrections:
        if isinstance(each, TextCorrection):
            utterances = tuple(_with_text(utterances, each))
        else:
            utterances = tuple(_with_speaker(utterances, each))
    return transcript if utterances is transcript.utterances else replace(transcript, utterances=utterances)


def stretch_in(transcript: Transcript, start_ms: int, end_ms: int) -> Region:
    """Return a stretch of a recording, as far as that goes. Raises ValueError for one that lies outside."""
    region = Region(start_ms, min(end_ms, transcript.duration_ms))
    if start_ms < 0 or region.duration_ms <= 0:
        message = f"{start_ms} to {end_ms} ms is no stretch of a recording of {transcript.duration_ms} ms"
        raise ValueError(message)
    return region


def words_in(transcript: Transcript, region: Region, speaker: str | None) -> list[Word]:
    """Return the words that a correction of a stretch is about."""
    touched = _touched(transcript.utterances, region, speaker)
    return [word for number in touched for word in _inside(transcript.utterances[number], region)]


def text_in(transcript: Transcript, region: Region, speaker: str | None) -> str:
    """Return what is said in a stretch."""
    return join_words(word.text for word in words_in(transcript, region, speaker))


def differences(words: Sequence[Word], text: str) -> Iterator[TextCorrection]:
    """Yield the corrections that make an edited text out of words."""
    written = split_words(text)
    before = [word.text.strip() for word in words]
    matcher = SequenceMatcher(None, before, [word.strip() for word in written], autojunk=False)
    for kind, first, end, new_first, new_end in matcher.get_opcodes():
        if kind == "equal" or not words:
            continue
        if kind == "insert":
            # A stretch of no length would hold no word: the one before, or behind, goes along.
            first, end = (first - 1, end) if first else (0, 1)  # noqa: PLW2901 - the same stretch, longer
            kept = [before[first]]
            said = [*kept, *written[new_first:new_end]] if new_first else [*written[:new_end], *kept]
        else:
            said = written[new_first:new_end]
        region = Region(words[first].start_ms, max(words[end - 1].end_ms, words[first].start_ms + 1))
        yield TextCorrection(region, join_words(said))


def lost_words(before: str, after: str) -> int:
    """Count the words of a text that are not in what it becomes, in their order."""
    old, new = split_words(before), split_words(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return len(old) - sum(block.size for block in matcher.get_matching_blocks())


_LONGEST_NAME = 3
"""Words in a name; a longer run of new words is a sentence."""


def new_terms(before: str, after: str) -> list[str]:
    """Return what was put into a text as names or terms for a glossary: short runs of words that are new.

    Of longer runs, only what is written with a capital letter inside a sentence.
    """
    old, new = (list(map(_bare, split_words(text))) for text in (before, after))
    terms: list[str] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_first, old_end, first, end in matcher.get_opcodes():
        run = [word for word in new[first:end] if word] if kind in {"insert", "replace"} else []
        if first == 0 and [word.casefold() for word in run] == [
            each.casefold() for each in old[old_first:old_end]
        ]:
            continue  # the beginning of a sentence
        if 0 < len(run) <= _LONGEST_NAME:
            terms.append(join_words(run))
        else:
            terms += [word for place, word in enumerate(run) if place and word[0].isupper()]
    return [term for term in dict.fromkeys(terms) if any(map(str.isalpha, term))]


def _bare(word: str) -> str:
    """Return a word without what is no letter or digit at its ends."""
    inside = [place for place, sign in enumerate(word) if sign.isalnum()]
    return word[inside[0] : inside[-1] + 1] if inside else ""


def _with_text(utterances: Sequence[Utterance], correction: TextCorrection) -> Iterator[Utterance]:
    region = correction.region
    touched = _touched(utterances, region, correction.speaker)
    timed = [word for number in touched for word in _inside(utterances[number], region)]
    written = split_words(correction.text)
    words = align(written, timed, region) if timed else spread(written, [region])
    if not touched:
        yield from _with_new(utterances, words, correction)
        return
    for number, utterance in enumerate(utterances):
        if number not in touched:
            yield utterance
            continue
        is_last = number == touched[-1]
        next_ms = None if is_last else utterances[touched[touched.index(number) + 1]].start_ms
        here = [word for word in words if next_ms is None or word.start_ms < next_ms]
        words = words[len(here) :]
        kept = [word for word in utterance.words if not _is_inside(word, region)]
        merged = [
            *(word for word in kept if _middle(word) < region.start_ms),
            *here,
            *(word for word in kept if _middle(word) >= region.start_ms),
        ]
        if merged:
            # What a model thought of its words says nothing of those of a person.
            yield replace(
                of_words(utterance, merged), avg_logprob=None, compression_ratio=None, no_speech_prob=None
            )


def _with_new(
    utterances: Sequence[Utterance], words: Sequence[Word], correction: TextCorrection
) -> Iterator[Utterance]:
    """Put words where nobody said any."""
    added = [
        Utterance(
            join_words(word.text for word in words),
            correction.region.start_ms,
            correction.region.end_ms,
            tuple(words),
            correction.speaker,
        )
    ]
    yield from sorted([*utterances, *(added if words else [])], key=lambda each: each.start_ms)


def _with_speaker(utterances: Sequence[Utterance], correction: SpeakerCorrection) -> Iterator[Utterance]:
    touched = set(_touched(utterances, correction.region, correction.before))
    for number, utterance in enumerate(utterances):
        if number not in touched:
            yield utterance
            continue
        for is_inside, words in groupby(utterance.words, lambda word: _is_inside(word, correction.region)):
            part = of_words(utterance, list(words))
            yield replace(part, speaker=correction.speaker) if is_inside else part


def _touched(utterances: Sequence[Utterance], region: Region, speaker: str | None) -> list[int]:
    """Return the numbers of the utterances that have words in a stretch, of a speaker if they have any."""
    found = [number for number, each in enumerate(utterances) if _inside(each, region)]
    of_speaker = [number for number in found if utterances[number].speaker == speaker]
    return of_speaker or found


def _inside(utterance: Utterance, region: Region) -> list[Word]:
    if utterance.end_ms < region.start_ms or utterance.start_ms > region.end_ms:
        return []
    return [word for word in utterance.words if _is_inside(word, region)]


def _is_inside(word: Word, region: Region) -> bool:
    return region.start_ms <= _middle(word) < region.end_ms


def _middle(word: Word) -> int:
    return (word.start_ms + word.end_ms) // 2
