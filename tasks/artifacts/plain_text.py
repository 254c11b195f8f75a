"""`transcript.txt`: what was said, in paragraphs."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.artifacts.document import Document
from tasks.artifacts.paragraphs import paragraphs
from tasks.speech.text import join_words
from tasks.speech.words import Utterance


def render(document: Document) -> str:
    """Render the text, a blank line between paragraphs; each begins with who speaks, where that is told."""
    return "\n\n".join(map(_paragraph, paragraphs(document.readable.utterances))) + "\n"


def _paragraph(group: Sequence[Utterance]) -> str:
    text = join_words(each.text for each in group)
    return f"{group[0].speaker}: {text}" if group[0].speaker else text
