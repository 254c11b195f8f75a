"""`transcript.txt`: what was said, in paragraphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tasks.speech.text import join_words
from tasks.speech.transcript import Transcript
from tasks.speech.words import Utterance

_PARAGRAPH_PAUSE_MS = 2_000
_LONGEST_PARAGRAPH_MS = 60_000


def render(transcript: Transcript) -> str:
    """Render the text; a paragraph ends at a longer pause, a change of speaker, or a missing stretch."""
    paragraphs = _paragraphs(transcript.utterances)
    return (
        "".join(f"{join_words(each.text for each in group)}\n\n" for group in paragraphs).rstrip("\n") + "\n"
    )


def _paragraphs(utterances: Iterable[Utterance]) -> Iterator[Sequence[Utterance]]:
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
        or utterance.start_ms - last.end_ms >= _PARAGRAPH_PAUSE_MS
        or utterance.end_ms - group[0].start_ms > _LONGEST_PARAGRAPH_MS
    )
