"""Which utterances a reader should not take on trust, and why.

Sources of the thresholds. Whisper's own `transcribe.py` decodes again where gzip makes a text smaller than
1/2.4 (it repeats itself) or where the mean log-probability of its tokens is below -1, and takes a stretch
for silent where, beside that, the probability of no speech is above 0.6. Of rates: conversation has 2.5 to
3.5 words a second, and debaters who are trained for it come to 6 (350 words a minute); of the languages that
Pellegrino, Coupé and Marsico compared (Language 87, 2011) the fastest has 7.84 syllables a second.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.speech.doubt import Doubt, repeated_rows
from tasks.speech.text import is_unspaced, spoken_form
from tasks.speech.transcript import Kind, Stretch, Transcript
from tasks.speech.words import Region, Utterance, Word

_REPETITIVE = 2.4
_UNLIKELY = -1.0
_NO_SPEECH = 0.6
# An ideograph or a kana is about a syllable, of which twice as many are said in a second.
_WORDS_A_SECOND = 8
_SYLLABLES_A_WORD = 2
# Times of words are not so precise that a rate could be told from fewer.
_LEAST_WORDS = 6
# Of what is heard as words, this much lies where the levels say that nobody speaks.
_MOSTLY = 0.8


class Suspicion(StrEnum):
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
    """It has words where the levels say that nobody speaks."""


@dataclass(frozen=True, slots=True)
class DoubtfulAnswer:
    """An answer that was not believed at once, and was no better when asked for again.

    Attributes:
        region: what of the recording it is for, in ms.
    """

    region: Region
    doubt: Doubt


def suspicions(
    transcript: Transcript, answers: Iterable[DoubtfulAnswer] = ()
) -> tuple[tuple[Suspicion, ...], ...]:
    """Say of each utterance why it may be wrong; nothing where nothing tells against it.

    Args:
        transcript: what was heard.
        answers: those that were not believed.
    """
    utterances = transcript.utterances
    repeated = _repeated(utterances) | _in_repeating_answers(utterances, answers)
    speech = [stretch for stretch in transcript.coverage if stretch.kind is not Kind.SILENCE]
    begins = [stretch.start_ms for stretch in speech]
    found = []
    for number, utterance in enumerate(utterances):
        reasons = {
            Suspicion.COMPRESSION: (utterance.compression_ratio or 0) > _REPETITIVE,
            Suspicion.LOGPROB: _is_unlikely(utterance) and not _is_perhaps_silent(utterance),
            Suspicion.NO_SPEECH: _is_unlikely(utterance) and _is_perhaps_silent(utterance),
            Suspicion.RATE: _is_too_fast(utterance),
            Suspicion.REPETITION: number in repeated,
            Suspicion.SILENCE: _is_in_silence(utterance, speech, begins),
        }
        found.append(tuple(reason for reason, holds in reasons.items() if holds))
    return tuple(found)


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
    heard_ms = sum(_overlap(word, speech, begins) for word in utterance.words)
    return spoken_ms > 0 and heard_ms < (1 - _MOSTLY) * spoken_ms


def _overlap(word: Word, speech: Sequence[Stretch], begins: Sequence[int]) -> int:
    """Return for how much of a word somebody speaks, by the levels."""
    heard_ms = 0
    for at in range(max(0, bisect_right(begins, word.start_ms) - 1), len(speech)):
        stretch = speech[at]
        if stretch.start_ms >= word.end_ms:
            break
        heard_ms += max(0, min(word.end_ms, stretch.end_ms) - max(word.start_ms, stretch.start_ms))
    return heard_ms


def _repeated(utterances: Sequence[Utterance]) -> set[int]:
    """Return the numbers of the utterances that have part in a row of one phrase."""
    spoken = [
        (number, form)
        for number, utterance in enumerate(utterances)
        for word in utterance.words
        if (form := spoken_form(word.text))
    ]
    rows = repeated_rows([form for _, form in spoken])
    return {spoken[at][0] for row in rows for at in row}


def _in_repeating_answers(utterances: Sequence[Utterance], answers: Iterable[DoubtfulAnswer]) -> set[int]:
    regions = [each.region for each in answers if each.doubt is Doubt.REPETITION]
    return {
        number
        for region in regions
        for number, utterance in enumerate(utterances)
        if utterance.words and region.start_ms <= utterance.start_ms < region.end_ms
    }
