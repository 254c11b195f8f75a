"""`transcript.srt` and `transcript.vtt`, written by pysubs2."""

from __future__ import annotations

import html

import pysubs2

from tasks.artifacts.document import Document


def render_srt(document: Document) -> str:
    """Render SubRip. Its text knows no escape, so an arrow is written as a sign of its own."""
    return _render(document, "srt").replace("\r\n", "\n")


def render_vtt(document: Document) -> str:
    """Render WebVTT, its markup escaped."""
    return _render(document, "vtt").replace("\r\n", "\n")


def _render(document: Document, format_: str) -> str:
    file = pysubs2.SSAFile()
    for cue in document.cues:
        text = "\\N".join(_inert(line, format_) for line in cue.lines)
        file.append(pysubs2.SSAEvent(start=cue.start_ms, end=cue.end_ms, text=text))
    # Without keep_ssa_tags, whatever stands in braces would be taken for markup and dropped.
    written = file.to_string(format_, keep_ssa_tags=True)
    return written if written.endswith("\n") else written + "\n"


def _inert(line: str, format_: str) -> str:
    """Take from a line what pysubs2 or the format would read as its own."""
    line = line.replace("\\", "\N{FULLWIDTH REVERSE SOLIDUS}")
    if format_ == "vtt":
        return html.escape(line, quote=False)
    return line.replace("-->", "\N{RIGHTWARDS ARROW}")
