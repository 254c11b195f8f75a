"""`transcript.vtt`, and `transcript.karaoke.vtt` in which each word has its time.

Written by the standard itself (https://www.w3.org/TR/webvtt1/): pysubs2 writes WebVTT as if it were SubRip,
without voices, times in the text, or a backslash.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.transcript.cue_rules import Cue
from stenoflow.tasks.transcript.text import space_between
from stenoflow.tasks.transcript.types import Word


def render(document: Document) -> str:
    """Render WebVTT: numbered cues, who speaks as the voice of each."""
    return _render(document, _text)


def render_karaoke(document: Document) -> str:
    """Render WebVTT with the time of each word, at which players show it as spoken."""
    return _render(document, _timed_text)


def _render(document: Document, text_of: Callable[[Cue], str]) -> str:
    return "".join(["WEBVTT\n", *_blocks(document, text_of)])


def _blocks(document: Document, text_of: Callable[[Cue], str]) -> Iterator[str]:
    for number, cue in enumerate(document.unnamed_cues, 1):
        yield f"\n{number}\n{_time(cue.start_ms)} --> {_time(cue.end_ms)}\n{_voice(cue)}{text_of(cue)}\n"


def _voice(cue: Cue) -> str:
    return f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""


def _text(cue: Cue) -> str:
    return "\n".join(map(_escaped, cue.lines))


def _timed_text(cue: Cue) -> str:
    """Write a cue's lines, the time before each word that begins inside the cue and after the one before."""
    if not cue.words:
        return _text(cue)
    at_ms = cue.start_ms
    written: list[str] = []
    for line in cue.words:
        before: Word | None = None
        for word in line:
            space = "" if before is None else space_between(before.text, word.text)
            is_inside = at_ms < word.start_ms < cue.end_ms
            at_ms = word.start_ms if is_inside else at_ms
            written.append(f"{space}{f'<{_time(at_ms)}>' if is_inside else ''}{_escaped(word.text)}")
            before = word
        written.append("\n")
    return "".join(written[:-1])


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _time(milliseconds: int) -> str:
    seconds, ms = divmod(milliseconds, 1_000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
