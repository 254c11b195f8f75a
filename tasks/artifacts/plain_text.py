"""`transcript.txt`: what was said, in paragraphs."""

from __future__ import annotations

from tasks.artifacts.document import Document
from tasks.artifacts.paragraphs import paragraphs
from tasks.speech.text import join_words


def render(document: Document) -> str:
    """Render the text, a blank line between paragraphs."""
    groups = paragraphs(document.transcript.utterances)
    return "".join(f"{join_words(each.text for each in group)}\n\n" for group in groups).rstrip("\n") + "\n"
