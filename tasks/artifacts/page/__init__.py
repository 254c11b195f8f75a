"""`transcript.html`: a page to listen and read, whole in one file."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from stenoflow.tasks.artifacts.document import REASONS, Document, facts
from stenoflow.tasks.artifacts.minutes import MinutesDocument, moment, points_with_titles
from stenoflow.tasks.artifacts.page.layout import is_unsure, lay_out, times
from stenoflow.tasks.transcript.minutes import Point
from stenoflow.tasks.transcript.timecode import clock

__all__ = [
    "TEMPLATE",
    "may_have_picture",
    "page_script",
    "page_style",
    "page_template",
    "page_values",
    "render",
    "write",
]

TEMPLATE: Final = "page.html.jinja"
"""The name of the page's template, for those that extend it."""


_SCRIPTS: Final = ("words.js", "player.js", "search.js", "view.js", "keys.js")
_LINKED: Final = frozenset({"file", "http", "https"})
"""Schemes of addresses that a browser may be able to play."""
_PICTURES: Final = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ogv"})
"""Endings of recordings in which a browser may find something to see."""
# A multiple of 3, so that only the last piece is padded.
_PIECE_BYTES = 3 << 20


def render(document: Document) -> str:
    """Render the page. It depends on nothing but what is given: the same again is the same byte for byte."""
    written = io.StringIO()
    write(document, written)
    return written.getvalue()


def write(document: Document, out: TextIO, sound: Path | None = None) -> None:
    """Write the page.

    Args:
        document: what is rendered.
        out: where to.
        sound: a file of Opus in WebM that is put into the page; None: it plays the recording where it was.
    """
    script, style = page_script(), page_style()
    scheme = urlsplit(document.source).scheme if sound is None else ""
    out.writelines(
        _template().generate(
            **page_values(document),
            link=document.source if scheme in _LINKED else None,
            sound=None if sound is None else _in_base64(sound),
            has_picture=sound is None and may_have_picture(document),
            policy=_policy(script, style, scheme),
            script=script,
            style=style,
        )
    )


def page_values(document: Document) -> dict[str, Any]:
    """Return what the template shows of a document; all but the recording itself, script and style."""
    transcript = document.readable
    return {
        "transcript": transcript,
        "name": document.title,
        "paragraphs": lay_out(document),
        "speakers": document.speakers,
        "times": times(transcript),
        "attendees": document.speaking.attendees,
        "suggestions": document.speaking.suggestions,
        "given": document.speaking.names,
        "reasons": REASONS,
        "facts": facts(document),
        "linked_formats": document.linked_formats,
        "stem": document.stem,
        "has_warnings": _has_warnings(document),
        "minutes": document.minutes,
        "sections": _sections(document.minutes),
        "moment": moment,
        "clock": clock,
    }


def may_have_picture(document: Document) -> bool:
    """Tell whether a browser may find something to see in the recording."""
    return PurePosixPath(document.name).suffix.lower() in _PICTURES


def _in_base64(file: Path) -> Iterator[str]:
    """Yield a file in pieces, each encoded by itself: whole, it may be too long for a browser."""
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield base64.b64encode(piece).decode()


def _sections(minutes: MinutesDocument | None) -> list[tuple[str, tuple[Point, ...]]]:
    return [] if minutes is None else list(points_with_titles(minutes.minutes, minutes.language))


def _has_warnings(document: Document) -> bool:
    words = (word for utterance in document.readable.utterances for word in utterance.words)
    return any(document.suspect_reasons) or any(map(is_unsure, words))


def _policy(script: str, style: str, scheme: str) -> str:
    """Write the Content-Security-Policy: no request at all but for the recording itself."""
    linked = f" {scheme}:" if scheme in _LINKED else ""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            f"media-src 'self' blob:{linked}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.from_string(page_template())


def page_template() -> str:
    """Return the template's text; its blocks are policy, style, before, suggestion, downloads, by, script."""
    return _read(TEMPLATE)


def page_style() -> Markup:
    """Return the page's style sheet."""
    return _read("page.css")


@cache
def page_script() -> Markup:
    """Return the page's script: one module."""
    return Markup("\n").join(map(_read, _SCRIPTS))


@cache
def _read(name: str) -> Markup:
    """Read a file of ours, which stands in the page as it is."""
    return Markup(files(__package__).joinpath(name).read_text("utf-8"))  # noqa: S704 - ours, no one else's
