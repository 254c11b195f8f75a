"""Rendering the page: one file, whose policy lets in nothing but its own script and style."""

from __future__ import annotations

import base64
import hashlib
import io
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from tasks.artifacts.document import Document
from tasks.artifacts.page.doubt import doubt, is_unsure
from tasks.artifacts.page.layout import lay_out, speakers, times, words_of
from tasks.speech.timecode import clock
from tasks.speech.transcript import Timing, Transcript

_SCRIPTS: Final = ("words.js", "player.js", "search.js", "view.js", "keys.js")
_LINKED: Final = frozenset({"file", "http", "https"})
"""Schemes of addresses that a browser may be able to play."""
_PICTURES: Final = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ogv"})
"""Endings of recordings in which a browser may find something to see."""


def render(document: Document) -> str:
    """Render the page. It depends on nothing but what is given: the same again is the same byte for byte."""
    transcript = document.transcript
    script, style = _script(), _read("page.css")
    scheme = urlsplit(document.source).scheme
    written = io.StringIO()
    written.writelines(
        _template().generate(
            transcript=transcript,
            name=document.name,
            link=document.source if scheme in _LINKED else None,
            has_picture=PurePosixPath(document.name).suffix.lower() in _PICTURES,
            policy=_policy(script, style, scheme),
            script=script,
            style=style,
            paragraphs=lay_out(transcript),
            speakers=speakers(transcript),
            times=times(transcript),
            facts=_facts(transcript),
            has_doubts=_has_doubts(transcript),
        )
    )
    return written.getvalue()


def _facts(transcript: Transcript) -> list[str]:
    """Say in short what there is to read."""
    facts = [clock(transcript.duration_ms), f"{sum(1 for _ in words_of(transcript)):,} words"]
    if transcript.language:
        others = sorted({each.language for each in transcript.other_languages})
        parts = f" (parts: {', '.join(others)})" if others else ""
        facts.append(f"language: {transcript.language}{parts}")
    if transcript.timing is Timing.ESTIMATED:
        facts.append("times of words are estimated")
    if transcript.missing:
        lost = sum(each.end_ms - each.start_ms for each in transcript.missing)
        facts.append(f"{clock(lost + 999)} missing")
    return facts


def _has_doubts(transcript: Transcript) -> bool:
    return any(doubt(each) or any(map(is_unsure, each.words)) for each in transcript.utterances)


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
    return environment.from_string(_read("page.html.jinja"))


@cache
def _script() -> Markup:
    return Markup("\n").join(map(_read, _SCRIPTS))


@cache
def _read(name: str) -> Markup:
    """Read a file of ours, which stands in the page as it is."""
    return Markup(files(__package__).joinpath(name).read_text("utf-8"))  # noqa: S704 - ours, no one else's
