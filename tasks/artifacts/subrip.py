"""`transcript.srt`, written by pysubs2."""

from __future__ import annotations

import pysubs2

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.sanitize import for_subrip


def render(document: Document) -> str:
    """Render SubRip. It knows no speakers: their names stand in the text, where they change."""
    file = pysubs2.SSAFile()
    for cue in document.cues:
        text = "\\N".join(map(for_subrip, cue.lines))
        file.append(pysubs2.SSAEvent(start=cue.start_ms, end=cue.end_ms, text=text))
    # Without keep_ssa_tags, what stands in braces would be looked into.
    written = file.to_string("srt", keep_ssa_tags=True)
    return written if written.endswith("\n") else f"{written}\n"
