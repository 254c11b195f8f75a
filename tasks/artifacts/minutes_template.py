"""Minutes by a template of the user's: Jinja in a sandbox, or Markdown whose headings name the sections.

What was said in a meeting is data: every text that a template prints is escaped for Markdown, as in the
built-in shape. The template itself is the user's own, and is printed as it stands. Jinja runs in a process
whose time and memory are bounded: a sandbox keeps a template from files, not from a loop without an end.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from stenoflow.tasks.artifacts.minutes import (
    LANGUAGES,
    MinutesDocument,
    escaped,
    headings,
    moment,
    point_in_markdown,
)
from stenoflow.tasks.errors import MediaError, SettingsError
from stenoflow.tasks.media.running import Bounds, running
from stenoflow.tasks.transcript.minutes import SECTIONS, Minutes, Point
from stenoflow.tasks.transcript.timecode import clock, seconds

MOST_BYTES = 64 * 1024
"""A longer template is none."""
_PROGRAM = "stenoflow.tasks.artifacts.minutes_template_program"
_BOUNDS = Bounds(cpu_s=5, memory_bytes=1 << 30)
# Minutes of the longest meeting have some 100 kB.
_MOST_PRINTED = 4 << 20
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_HINT = "see 'Minutes' in tasks/README.md"


class _Markup(str):
    """Markdown of ours: printed as it is."""

    __slots__ = ()


def render_by_template(document: MinutesDocument, template: str) -> str:
    """Render minutes by a template.

    Raises:
        SettingsError: the template cannot be used; the message says where.
    """
    (text,) = _rendered([document], template)
    return text


def check_template(template: str) -> None:
    """See that a template can be used, before anything is spent. Raises SettingsError as above."""
    point = Point("What was said.", 1, 1_000, "Ada", "Friday")
    some = Minutes(*((point,) for _ in SECTIONS))
    _rendered(
        [
            MinutesDocument(each, "name", "job", "of", "page", "model", "en", ("remark",))
            for each in (some, Minutes())
        ],
        template,
    )


def _rendered(documents: Sequence[MinutesDocument], template: str) -> list[str]:
    is_jinja = "{{" in template or "{%" in template
    texts = _apart(documents, template) if is_jinja else [_by_headings(each, template) for each in documents]
    return [f"{text.rstrip()}\n" for text in texts]


def _apart(documents: Sequence[MinutesDocument], template: str) -> list[str]:
    """Have a template of Jinja rendered by a process of its own."""
    request = {"template": template, "documents": [asdict(each) for each in documents]}
    try:
        with running(
            [sys.executable, "-P", "-m", _PROGRAM],
            what="the template of minutes",
            writes=True,
            reads=True,
            bounds=_BOUNDS,
        ) as program:
            program.write(json.dumps(request).encode())
            program.end_input()
            printed = program.read(_MOST_PRINTED + 1)
            if len(printed) > _MOST_PRINTED:
                raise SettingsError(f"the template of minutes prints more than {_MOST_PRINTED} bytes", _HINT)
            ended = program.finish()
            if ended.code:
                raise program.error("took too much time or memory", ended)
    except MediaError as error:
        raise SettingsError(error.message, _HINT) from error
    answer: dict[str, Any] = json.loads(printed)
    if "error" in answer:
        raise SettingsError(answer["error"], _HINT)
    texts: list[str] = answer["texts"]
    return texts


def by_jinja(document: MinutesDocument, template: str) -> str:
    """Render minutes by Jinja, in this process. Raises SettingsError where the template cannot be used."""
    from jinja2 import StrictUndefined, TemplateError  # noqa: PLC0415 - for those who have a template
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - the same

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    try:
        return environment.from_string(template).render(_variables(document))
    except MemoryError as error:
        raise SettingsError("the template of minutes needs too much memory", _HINT) from error
    except (
        TemplateError,
        ArithmeticError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise SettingsError(f"the template of minutes cannot be used{where}: {error}", _HINT) from error


def _shown(value: Any) -> Any:
    """Return what is printed of a value: a text escaped, nothing for None."""
    if value is None:
        return ""
    return escaped(value) if isinstance(value, str) and not isinstance(value, _Markup) else value


def _variables(document: MinutesDocument) -> dict[str, Any]:
    titles = headings(document.language)
    points = {
        name: [_point(each, document.page) for each in document.minutes.section(name)] for name in SECTIONS
    }
    return {
        "recording": document.name,
        "job": document.job,
        "transcript": document.transcript,
        "page": _Markup(document.page),
        "model": document.model,
        "language": document.language,
        "remarks": list(document.remarks),
        "titles": titles,
        "sections": [{"name": name, "title": titles[name], "points": points[name]} for name in SECTIONS],
        **points,
    }


def _point(point: Point, page: str) -> dict[str, Any]:
    at_ms = point.at_ms
    return {
        "text": point.text,
        "owner": point.owner,
        "due": point.due,
        "line": point.line,
        "at": None if at_ms is None else clock(at_ms),
        "seconds": None if at_ms is None else seconds(at_ms),
        "link": None if at_ms is None else _Markup(f"[{clock(at_ms)}]({page}#{moment(at_ms)})"),
        "markdown": _Markup(point_in_markdown(point, page)),
    }


def _by_headings(document: MinutesDocument, template: str) -> str:
    """Fill each heading that names a section with its points; other text stays, an empty section says so."""
    lines: list[str] = []
    filled = 0
    for line in template.splitlines():
        lines.append(line)
        found = _HEADING.match(line)
        name = None if found is None else _section_of(found[2])
        if name is None:
            continue
        filled += 1
        points = document.minutes.section(name)
        lines += ["", *(f"- {point_in_markdown(each, document.page)}" for each in points)]
        lines += [] if points else ["-"]
        lines.append("")
    if not filled:
        known = ", ".join(dict.fromkeys(_names("en")))
        raise SettingsError(
            "no heading of the template of minutes names a section of theirs", f"they have {known}; {_HINT}"
        )
    remarks = [f"> {escaped(each)}" for each in document.remarks]
    return "\n".join([*lines, *(["", *remarks] if remarks else [])])


def _section_of(heading: str) -> str | None:
    said = heading.strip().rstrip(":").casefold()
    for language in LANGUAGES:
        for name, title in zip(SECTIONS, _names(language), strict=True):
            if said in {title.casefold(), name, name.replace("_", " ")}:
                return name
    return None


def _names(language: str) -> Iterator[str]:
    titles = headings(language)
    return (titles[name] for name in SECTIONS)
