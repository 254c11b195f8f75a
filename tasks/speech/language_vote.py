"""Agreeing on the language of a meeting: a vote of its segments, each as heavy as somebody speaks in it.

Until a language is agreed on, the model finds out for each segment by itself. From then on it is told, but
for every fourth segment: those go on to say what they hear, over the whole meeting. Where one of them hears
something else, its neighbours are left to find out by themselves too: told a wrong language, models
translate or invent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LEAST_VOTES = 3
# Of what is spoken, in percent.
_MAJORITY = 75
_FREE_EVERY = 4
STRONG_MS = 5_000
"""A guess at the language of less speech than this tells nothing."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a segment says of the language: ISO 639-1, and for how long somebody speaks in it."""

    language: str
    speech_ms: int


def agreed_on(votes: Iterable[Vote]) -> str | None:
    """Return the language that enough segments agree on; None as long as there is none."""
    strong = [vote for vote in votes if vote.speech_ms >= STRONG_MS]
    if len(strong) < _LEAST_VOTES:
        return None
    language, weight = _weights(strong).most_common(1)[0]
    return language if weight * 100 >= sum(vote.speech_ms for vote in strong) * _MAJORITY else None


def likeliest(votes: Iterable[Vote], among: tuple[str, ...]) -> str:
    """Return the one of several languages that is heard most; the first where none of them is."""
    weights = _weights(vote for vote in votes if vote.language in among)
    return weights.most_common(1)[0][0] if weights else among[0]


def is_free(index: int) -> bool:
    """Tell whether a segment is never told a language, so that it can say what it hears."""
    return index % _FREE_EVERY == 0


def language_to_tell(index: int, agreed: str | None, votes: Mapping[int, Vote]) -> str | None:
    """Return the language that is told with a segment; None: the model finds out.

    Args:
        index: the segment's.
        agreed: what the job's segments agree on so far.
        votes: by segment.
    """
    if agreed is None or is_free(index) or not _is_iso_639_1(agreed):
        return None
    free = [each for each, vote in votes.items() if is_free(each) and vote.speech_ms >= STRONG_MS]
    before = max((each for each in free if each < index), default=None)
    after = min((each for each in free if each > index), default=None)
    near = [votes[each].language for each in (before, after) if each is not None]
    return agreed if all(language == agreed for language in near) else None


def _weights(votes: Iterable[Vote]) -> Counter[str]:
    weights: Counter[str] = Counter()
    for vote in votes:
        weights[vote.language] += vote.speech_ms
    return weights


def _is_iso_639_1(code: str) -> bool:
    """Whisper's own codes (yue, haw, jw) are not taken by every server; nobody asked for this one."""
    return len(code) == 2 and code != "jw"
