"""`transcript.txt`: what was said, in paragraphs."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.artifacts.document import Document
from tasks.artifacts.paragraphs import paragraphs
from tasks.speech.text import join_words
from tasks.speech.words import Utterance


def render(document: Document) -> str:
    """Render the text, a blank line between paragraphs; where several speak, each begins with a name."""
    are_named = len(document.speakers) > 1
    groups = paragraphs(document.readable.utterances)
    return "\n\n".join(_paragraph(group, is_named=are_named) for group in groups) + "\n"


def _paragraph(group: Sequence[Utterance], *, is_named: bool) -> str:
    text = join_words(each.text for each in group)
    return f"{group[0].speaker}: {text}" if is_named and group[0].speaker else text
