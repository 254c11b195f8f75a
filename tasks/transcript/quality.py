"""Quality of answers: which to ask for again, and which utterances to mark as suspect."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, islice

from stenoflow.tasks.transcript.text import is_unspaced, split_words, spoken_form
from stenoflow.tasks.transcript.types import Kind, Region, Stretch, Transcript, Utterance, Word

# So much that was taken for speech, and not a word, is suspect; less may have been a cough.
_AUDIBLE_MS = 5_000
# A phrase of up to 12 words is said again at once: six times in a row, and 24 words in all.
_LONGEST_PHRASE = 12
_TIMES = 6
_WORDS = 24
# Where scripts have no spaces, characters are counted, of which a word has two or three.
_CHARACTERS_A_WORD = 3
_LEAST_CHARACTERS = 48
# Of an answer, in percent, and in rows of so many words: then it is the hints that were given.
_ECHOED = 80
_ROW = 3
HEADING = "Glossary"
"""The heading of a list of terms in a prompt, which makes it read like a sentence."""


class SuspectReason(StrEnum):
    """Why an answer is suspect, so that it is asked for again."""

    EMPTY = "empty"
    """No word, though somebody speaks."""
    REPETITION = "repetition"
    """A phrase again and again, as models do that are stuck in a loop."""
    ECHO = "echo"
    """The prompt or the glossary, which models repeat when there is nothing to transcribe."""
    LANGUAGE = "language"
    """It is in none of the languages that are spoken."""
    DIFFERS = "differs"
    """A second opinion differs by more than models do."""
    TIMES = "times"
    """Some of its times cannot be true; its text is taken, and it is not asked for again."""


def find_suspect_reason(text: str, speech_ms: int, hints: str = "") -> SuspectReason | None:
    """Return why an answer is suspect; None where it is not.

    Args:
        text: the text of the answer.
        speech_ms: for how long somebody speaks in what was sent, as its levels say.
        hints: the prompt and glossary that went along.
    """
    words = spoken_words(text)
    if not words:
        return SuspectReason.EMPTY if speech_ms >= _AUDIBLE_MS else None
    if hints and _echoes(words, spoken_words(hints), speech_ms):
        return SuspectReason.ECHO
    return SuspectReason.REPETITION if repeated_words(words) else None


def find_language_mismatch(
    language: str | None, spoken: Collection[str], speech_ms: int
) -> SuspectReason | None:
    """Return LANGUAGE where an answer is in none of the languages that are spoken; else None."""
    suspect = language is not None and language not in spoken and speech_ms >= _AUDIBLE_MS
    return SuspectReason.LANGUAGE if suspect else None


def spoken_words(text: str) -> list[str]:
    """Return the words of a text as they are compared; characters, where a script has no spaces."""
    return [spoken for word in split_words(text) if (spoken := spoken_form(word))]


def _echoes(words: list[str], hints: list[str], speech_ms: int) -> bool:
    """Tell whether nearly all words stand in the hints, row by row; where little is spoken, one by one.

    A single row is enough where it is the beginning of the hints with their heading.
    """
    if hints[0] == HEADING.lower() and tuple(hints[: _ROW + 1]) in _rows_of(words, _ROW + 1):
        return True
    length = 1 if speech_ms < _AUDIBLE_MS else _ROW
    known = set(_rows_of(hints, length))
    echoed: set[int] = set()
    for place, row in enumerate(_rows_of(words, length)):
        if row in known:
            echoed.update(range(place, place + length))
    return len(echoed) * 100 >= len(words) * _ECHOED


def _rows_of(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[place : place + length]) for place in range(len(words) - length + 1))


def repeated_words(words: Sequence[str]) -> int:
    """Return how many words the longest row of one phrase is made of; 0 where no row is long enough.

    Of a word that is such a row in itself ("hahaha…"), its letters count.
    """
    rows = [len(row) for row in repeated_rows(words)]
    return max([*rows, *(len(word) for word in words if _is_row(word))], default=0)


def _is_row(word: str) -> bool:
    return len(word) >= _LEAST_CHARACTERS and any(repeated_rows(word))


def repeated_rows(words: Sequence[str]) -> Iterator[range]:
    """Yield where one phrase is said again and again, as numbers of words; rows may overlap."""
    by_character = 2 * sum(map(is_unspaced, words)) > len(words)
    longest = _LONGEST_PHRASE * (_CHARACTERS_A_WORD if by_character else 1)
    least = _LEAST_CHARACTERS if by_character else _WORDS
    for length in range(1, longest + 1):
        yield from _rows(words, length, least)


def _rows(words: Sequence[str], length: int, least: int) -> Iterator[range]:
    """Yield the rows of a phrase of so many words: where each word equals that many before, long enough."""
    same = (word == before for word, before in zip(islice(words, length, None), words, strict=False))
    first = 0
    for equal, run in groupby(same):
        count = sum(1 for _ in run)
        if equal and length + count >= max(least, _TIMES * length):
            yield range(first, first + length + count)
        first += count


_REPETITIVE = 2.4
_UNLIKELY = -1.0
_NO_SPEECH = 0.6
# An ideograph or a kana is about a syllable, of which twice as many are said in a second.
_WORDS_A_SECOND = 8
_SYLLABLES_A_WORD = 2
# Times of words are not so precise that a rate could be told from fewer.
_LEAST_WORDS = 6
# This share of the words' time lies where the levels show no speech.
_MOSTLY = 0.8


class SuspectUtterance(StrEnum):
    """Why an utterance may be wrong."""

    COMPRESSION = "compression"
    """By its compression ratio, it repeats itself."""
    LOGPROB = "logprob"
    """The model itself thought it unlikely."""
    NO_SPEECH = "no_speech"
    """The model thought it unlikely, and that nobody speaks."""
    RATE = "rate"
    """More words a second than anybody says."""
    REPETITION = "repetition"
    """It is part of a row of one phrase again and again."""
    SILENCE = "silence"
    """It has words where the levels show no speech."""
    SECOND_OPINION = "second_opinion"
    """A second opinion has other words."""


@dataclass(frozen=True, slots=True)
class SuspectAnswer:
    """An answer that was suspect, and no better when it was asked for again.

    Attributes:
        region: the part of the recording that it is for, in ms.
    """

    region: Region
    reason: SuspectReason


def find_suspect_utterances(
    transcript: Transcript, answers: Iterable[SuspectAnswer] = (), disputed: Sequence[Region] = ()
) -> tuple[tuple[SuspectUtterance, ...], ...]:
    """Return for each utterance the reasons why it may be wrong; mostly none.

    Args:
        transcript: the transcript to check.
        answers: the suspect answers in it.
        disputed: where a second opinion has other words.
    """
    utterances = transcript.utterances
    repeated = _repeated(utterances) | _in_repeating_answers(utterances, answers)
    speech = [stretch for stretch in transcript.coverage if stretch.kind is not Kind.SILENCE]
    begins = [stretch.start_ms for stretch in speech]
    found = []
    for number, utterance in enumerate(utterances):
        reasons = {
            SuspectUtterance.COMPRESSION: (utterance.compression_ratio or 0) > _REPETITIVE,
            SuspectUtterance.LOGPROB: _is_unlikely(utterance) and not _is_perhaps_silent(utterance),
            SuspectUtterance.NO_SPEECH: _is_unlikely(utterance) and _is_perhaps_silent(utterance),
            SuspectUtterance.RATE: _is_too_fast(utterance),
            SuspectUtterance.REPETITION: number in repeated,
            SuspectUtterance.SILENCE: _is_in_silence(utterance, speech, begins),
            SuspectUtterance.SECOND_OPINION: any(_overlaps(utterance, region) for region in disputed),
        }
        found.append(tuple(reason for reason, holds in reasons.items() if holds))
    return tuple(found)


def _overlaps(utterance: Utterance, region: Region) -> bool:
    return utterance.start_ms <= region.end_ms and region.start_ms <= utterance.end_ms


def _is_unlikely(utterance: Utterance) -> bool:
    return (utterance.avg_logprob or 0) < _UNLIKELY


def _is_perhaps_silent(utterance: Utterance) -> bool:
    return (utterance.no_speech_prob or 0) > _NO_SPEECH


def _is_too_fast(utterance: Utterance) -> bool:
    words = utterance.words
    if len(words) < _LEAST_WORDS:
        return False
    spoken = sum(1 if is_unspaced(word.text) else _SYLLABLES_A_WORD for word in words) / _SYLLABLES_A_WORD
    return spoken * 1_000 > _WORDS_A_SECOND * (utterance.end_ms - utterance.start_ms)


def _is_in_silence(utterance: Utterance, speech: Sequence[Stretch], begins: Sequence[int]) -> bool:
    spoken_ms = sum(word.end_ms - word.start_ms for word in utterance.words)
    speech_ms = sum(_overlap(word, speech, begins) for word in utterance.words)
    return spoken_ms > 0 and speech_ms < (1 - _MOSTLY) * spoken_ms


def _overlap(word: Word, speech: Sequence[Stretch], begins: Sequence[int]) -> int:
    """Return how much of a word's time is speech, by the levels, in ms."""
    speech_ms = 0
    for at in range(max(0, bisect_right(begins, word.start_ms) - 1), len(speech)):
        stretch = speech[at]
        if stretch.start_ms >= word.end_ms:
            break
        speech_ms += max(0, min(word.end_ms, stretch.end_ms) - max(word.start_ms, stretch.start_ms))
    return speech_ms


def _repeated(utterances: Sequence[Utterance]) -> set[int]:
    """Return the numbers of the utterances that have part in a row of one phrase."""
    spoken = [
        (number, form)
        for number, utterance in enumerate(utterances)
        for word in utterance.words
        if (form := spoken_form(word.text))
    ]
    rows = repeated_rows([form for _, form in spoken])
    return {spoken[at][0] for row in rows for at in row} | {at for at, form in spoken if _is_row(form)}


def _in_repeating_answers(utterances: Sequence[Utterance], answers: Iterable[SuspectAnswer]) -> set[int]:
    regions = [each.region for each in answers if each.reason is SuspectReason.REPETITION]
    return {
        number
        for region in regions
        for number, utterance in enumerate(utterances)
        if utterance.words and region.start_ms <= utterance.start_ms < region.end_ms
    }
