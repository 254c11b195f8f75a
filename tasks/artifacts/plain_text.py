"""The transcript as plain text, in paragraphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.transcript.text import join_words
from stenoflow.tasks.transcript.types import Utterance


def render(document: Document) -> str:
    """Render the text, a blank line between paragraphs; each begins with its speaker, where that is known."""
    return "\n\n".join(map(_paragraph, paragraphs(document.readable.utterances))) + "\n"


def _paragraph(group: Sequence[Utterance]) -> str:
    text = join_words(each.text for each in group)
    return f"{group[0].speaker}: {text}" if group[0].speaker else text


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
