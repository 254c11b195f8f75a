"""Which words a reader should not take on trust, by the scores that came with them."""

from __future__ import annotations

from tasks.speech.words import Utterance, Word

# Those at which Whisper itself tries again, or takes what it heard for silence.
_REPETITIVE = 2.4
_UNLIKELY = -1.0
_NO_SPEECH = 0.6
# More likely wrong than right.
_UNSURE = 0.5


def doubt(utterance: Utterance) -> str | None:
    """Say why an utterance may be wrong; None where nothing tells against it."""
    if (utterance.compression_ratio or 0) > _REPETITIVE:
        return "repeats itself"
    if (utterance.avg_logprob or 0) >= _UNLIKELY:
        return None
    return "perhaps not speech" if (utterance.no_speech_prob or 0) > _NO_SPEECH else "hard to hear"


def is_unsure(word: Word) -> bool:
    """Tell whether a word was recognised with little confidence."""
    return word.confidence is not None and word.confidence < _UNSURE
