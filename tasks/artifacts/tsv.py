"""`transcript.tsv`, as Whisper writes it: an utterance a line, times in ms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.sanitize import for_cell
from stenoflow.tasks.transcript.types import Utterance


def render(document: Document) -> str:
    """Render the lines; where speakers are known, a fourth column names them.

    No text holds a tab or a line break, so nothing need be quoted. Only one that begins with a quotation mark
    is: readers of CSV would take that for quoting, and swallow lines until the next. One that begins as a
    formula does stands behind an apostrophe: anybody may say it, and such a file is opened in a spreadsheet.
    """
    with_speaker = bool(document.speakers)
    header = ["start", "end", "text", *(["speaker"] if with_speaker else [])]
    rows = (_cells(each, with_speaker=with_speaker) for each in document.readable.utterances)
    return "".join("\t".join(row) + "\n" for row in chain([header], rows))


def _cells(utterance: Utterance, *, with_speaker: bool) -> Iterator[str]:
    yield str(utterance.start_ms)
    yield str(utterance.end_ms)
    yield _quoted(for_cell(utterance.text))
    if with_speaker:
        yield _quoted(for_cell(utterance.speaker or ""))


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""')) if text.startswith('"') else text
