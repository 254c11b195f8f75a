"""`transcript.docx`, written by python-docx: to be read, corrected and sent on."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence

import docx
from docx.document import Document as WordDocument
from docx.enum.text import WD_COLOR_INDEX
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor
from docx.text.paragraph import Paragraph

from stenoflow.tasks.artifacts.document import Document, facts
from stenoflow.tasks.artifacts.plain_text import paragraphs
from stenoflow.tasks.transcript.quality import SuspectUtterance
from stenoflow.tasks.transcript.text import join_words, space_between
from stenoflow.tasks.transcript.timecode import clock
from stenoflow.tasks.transcript.types import Utterance

_FAINT = RGBColor(0x56, 0x5B, 0x64)
_ALARM = RGBColor(0x9C, 0x1C, 0x1C)
# The earliest that a ZIP archive can say; the time of writing would make each a file of its own.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def render(document: Document) -> bytes:
    """Render the document: title, what there is to read, and paragraphs with their times and speakers.

    What was not transcribed stands out in red, and what should not be taken on trust is highlighted.
    """
    written = docx.Document()
    _set_properties(written, document)
    transcript = document.readable
    written.add_heading(document.title, level=0)
    legend = ["highlighted: may not be what was said"] if any(document.suspect_reasons) else []
    _add_faint(written.add_paragraph(), " · ".join([*facts(document), *legend]))
    reasons = iter(document.suspect_reasons)
    for group in paragraphs(transcript.utterances):
        _add_group(written.add_paragraph(), group, [next(reasons) for _ in group])
    return _without_times(written)


def _add_group(
    paragraph: Paragraph, group: Sequence[Utterance], reasons_of: Sequence[tuple[SuspectUtterance, ...]]
) -> None:
    _add_faint(paragraph, clock(group[0].start_ms))
    if group[0].speaker:
        paragraph.add_run(f"  {group[0].speaker}").bold = True
    paragraph.add_run().add_break()
    for text, is_suspect in _stretches(group, reasons_of):
        run = paragraph.add_run(text)
        if not group[0].words:
            run.bold = True
            run.font.color.rgb = _ALARM
        elif is_suspect:
            run.font.highlight_color = WD_COLOR_INDEX.YELLOW


def _stretches(
    group: Sequence[Utterance], reasons_of: Sequence[tuple[SuspectUtterance, ...]]
) -> Iterator[tuple[str, bool]]:
    """Yield the text of a paragraph in as few pieces as can be, each trusted or suspect throughout."""
    texts: list[str] = []
    was_suspect = False
    for utterance, reasons in zip(group, reasons_of, strict=True):
        if texts and was_suspect != bool(reasons):
            yield join_words(texts) + space_between(texts[-1], utterance.text), was_suspect
            texts = []
        texts.append(utterance.text)
        was_suspect = bool(reasons)
    yield join_words(texts), was_suspect


def _add_faint(paragraph: Paragraph, text: str) -> None:
    run = paragraph.add_run(text)
    run.font.size = Pt(9)
    run.font.color.rgb = _FAINT


def _set_properties(written: WordDocument, document: Document) -> None:
    """Say what it is, in which language (for the spelling), and no time at which it was made."""
    properties = written.core_properties
    properties.title = document.title
    properties.author = "Stenoflow"
    properties.comments = ""
    properties.last_modified_by = ""
    element = properties._element  # noqa: SLF001 - a property cannot be taken away by the library's own means
    for name in ("dcterms:created", "dcterms:modified"):
        for found in element.findall(qn(name)):
            element.remove(found)
    if document.readable.language:
        properties.language = document.readable.language
        for found in written.styles.element.iter(qn("w:lang")):
            found.set(qn("w:val"), document.readable.language)


def _without_times(written: WordDocument) -> bytes:
    """Return the file, in whose archive each part has the time of writing."""
    saved, packed = io.BytesIO(), io.BytesIO()
    written.save(saved)
    with zipfile.ZipFile(saved) as parts, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in parts.infolist():
            entry = zipfile.ZipInfo(part.filename, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, parts.read(part))
    return packed.getvalue()
