"""Utterances grouped into paragraphs, for the formats that are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tasks.speech.words import Utterance

_PAUSE_MS = 2_000
_LONGEST_MS = 60_000


def paragraphs(utterances: Iterable[Utterance]) -> Iterator[Sequence[Utterance]]:
    """Group utterances; a paragraph ends at a longer pause, a change of speaker, or a missing stretch."""
    group: list[Utterance] = []
    for utterance in utterances:
        if group and _parts(group, utterance):
            yield group
            group = []
        group.append(utterance)
    if group:
        yield group


def _parts(group: Sequence[Utterance], utterance: Utterance) -> bool:
    last = group[-1]
    return (
        not last.words
        or not utterance.words
        or last.speaker != utterance.speaker
        or utterance.start_ms - last.end_ms >= _PAUSE_MS
        or utterance.end_ms - group[0].start_ms > _LONGEST_MS
    )
