"""Which words a reader should not take on trust, and how the page says why."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.speech.suspicion import Suspicion
from tasks.speech.words import Word

# More likely wrong than right.
_UNSURE = 0.5
_SAID = {
    Suspicion.COMPRESSION: "repeats itself",
    Suspicion.REPETITION: "repeats itself",
    Suspicion.LOGPROB: "hard to hear",
    Suspicion.NO_SPEECH: "perhaps not speech",
    Suspicion.RATE: "too many words for the time",
    Suspicion.SILENCE: "words where nobody seems to speak",
}


def in_words(suspicions: Iterable[Suspicion]) -> list[str]:
    """Say why a passage may be wrong, each reason once."""
    return sorted({_SAID[each] for each in suspicions})


def is_unsure(word: Word) -> bool:
    """Tell whether a word was recognised with little confidence."""
    return word.confidence is not None and word.confidence < _UNSURE
