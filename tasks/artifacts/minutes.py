"""Minutes as Markdown, JSON and a text to be read aloud."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stenoflow.tasks.transcript.minutes import SECTIONS, Minutes, Point
from stenoflow.tasks.transcript.text import ends_sentence
from stenoflow.tasks.transcript.timecode import clock, seconds

SCHEMA = "stenoflow.minutes/1"
# What Markdown, or GitHub's kind of it, takes for its own.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#|!~&$@^=]")
_AT_A_LINES_START = re.compile(r"^(\d+)([.)])|^([-+])")
_LINKED = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MinutesDocument:
    """Minutes to be published.

    Attributes:
        name: the recording's, for people.
        job: the job that made them.
        transcript: the job of the transcript.
        page: relative address of the transcript's page, seen from the minutes.
        model: the chat model and its provider.
        language: of the transcript, as its ISO 639-1 code.
        remarks: what a reader must know, such as what is missing.
    """

    minutes: Minutes
    name: str
    job: str
    transcript: str
    page: str
    model: str
    language: str | None = None
    remarks: tuple[str, ...] = field(default_factory=tuple)


def render_markdown(document: MinutesDocument) -> str:
    """Render Markdown in which nothing but our own is markup; each moment links to the page."""
    titles = headings(document.language)
    lines = [f"# {titles['minutes']}: {escaped(document.name)}", ""]
    lines += [f"> {escaped(remark)}\n" for remark in document.remarks]
    for name in SECTIONS:
        points = document.minutes.section(name)
        if not points:
            continue
        lines += [f"## {titles[name]}", ""]
        lines += [f"- {point_in_markdown(point, document.page)}" for point in points]
        lines.append("")
    lines += [f"*{escaped(document.model)}*", ""]
    return "\n".join(lines)


def render_json(document: MinutesDocument) -> str:
    """Render JSON, schema ``stenoflow.minutes/1``; times in seconds on the recording's own timeline."""
    sections = {name: [_entry(name, point) for point in document.minutes.section(name)] for name in SECTIONS}
    whole = {
        "schema": SCHEMA,
        "recording": document.name,
        "job": document.job,
        "transcript": document.transcript,
        "model": document.model,
        "language": document.language,
        "remarks": list(document.remarks),
        **sections,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def render_spoken(document: MinutesDocument) -> str:
    """Render what is read aloud: no times, a paragraph a section."""
    titles = headings(document.language)
    paragraphs = [f"{titles['minutes']}: {document.name}."]
    paragraphs += [_sentence(remark) for remark in document.remarks]
    for name in SECTIONS:
        said = [_spoken(point) for point in document.minutes.section(name)]
        if said:
            paragraphs.append(" ".join([f"{titles[name]}.", *said]))
    return "\n\n".join(paragraphs) + "\n"


def escaped(text: str) -> str:
    """Escape a text for Markdown, in one line."""
    marked = _LINKED.sub(r"\\\g<0>", _MARKUP.sub(r"\\\g<0>", " ".join(text.split())))
    return _AT_A_LINES_START.sub(_escape_start, marked)


def _escape_start(found: re.Match[str]) -> str:
    number, mark, sign = found.groups()
    return f"\\{sign}" if sign else f"{number}\\{mark}"


def point_in_markdown(point: Point, page: str) -> str:
    """Write a point in one line, with who and until when, and a link to its moment."""
    facts = ", ".join(escaped(each) for each in (point.owner, point.due) if each)
    said = f"{escaped(point.text)}{f' **{facts}**' if facts else ''}"
    return said if point.at_ms is None else f"{said} [{clock(point.at_ms)}]({page}#{moment(point.at_ms)})"


def _entry(name: str, point: Point) -> dict[str, Any]:
    at = None if point.at_ms is None else seconds(point.at_ms)
    entry: dict[str, Any] = {"text": point.text, "line": point.line, "at": at}
    return entry | {"owner": point.owner, "due": point.due} if name == "action_items" else entry


def _spoken(point: Point) -> str:
    facts = [each for each in (point.owner, point.due) if each]
    return " ".join(map(_sentence, [point.text, *([", ".join(facts)] if facts else [])]))


def _sentence(text: str) -> str:
    return text if ends_sentence(text) else f"{text}."


def moment(at_ms: int) -> str:
    """Write a moment as the fragment of a page's address: ``t=754.2``, in seconds."""
    return f"t={at_ms / 1000:.3f}".rstrip("0").rstrip(".")


def points_with_titles(minutes: Minutes, language: str | None) -> Iterator[tuple[str, tuple[Point, ...]]]:
    """Yield the sections that have anything in them, each with its heading."""
    titles = headings(language)
    for name in SECTIONS:
        if minutes.section(name):
            yield titles[name], minutes.section(name)


_NAMES: Final = ("minutes", "summary", "decisions", "action_items", "open_questions")
_TITLES: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Minutes", "Summary", "Decisions", "Action items", "Open questions"),
    "de": ("Protokoll", "Zusammenfassung", "Beschlüsse", "Aufgaben", "Offene Fragen"),
    "fr": ("Compte rendu", "Résumé", "Décisions", "Actions à mener", "Questions ouvertes"),
    "es": ("Acta", "Resumen", "Decisiones", "Tareas", "Preguntas abiertas"),
    "it": ("Verbale", "Riassunto", "Decisioni", "Azioni da svolgere", "Questioni aperte"),
    "nl": ("Notulen", "Samenvatting", "Besluiten", "Actiepunten", "Open vragen"),
    "pt": ("Ata", "Resumo", "Decisões", "Tarefas", "Questões em aberto"),
}


LANGUAGES: Final = tuple(_TITLES)
"""The languages that there are headings in."""


def headings(language: str | None) -> dict[str, str]:
    """Return the headings by section, and that of the whole as ``minutes``."""
    return dict(zip(_NAMES, _TITLES.get(language or "en", _TITLES["en"]), strict=True))
