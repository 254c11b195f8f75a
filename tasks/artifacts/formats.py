"""The formats that are published, by their endings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stenoflow.tasks.artifacts import page, plain_text, subrip, substation, tsv, verbose_json, webvtt
from stenoflow.tasks.artifacts.document import TRANSCRIPT, Document
from stenoflow.tasks.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Format:
    """A format: how it is rendered, the same again byte for byte, and its media type.

    Attributes:
        is_optional: made only of jobs of which it was asked for.
    """

    render: Callable[[Document], bytes]
    content_type: str
    is_optional: bool = False


def _utf8(render: Callable[[Document], str]) -> Callable[[Document], bytes]:
    return lambda document: render(document).encode(errors="replace")


def _docx(document: Document) -> bytes:
    from stenoflow.tasks.artifacts import word_document  # noqa: PLC0415 - takes a third of a second to import

    return word_document.render(document)


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

FORMATS: dict[str, Format] = {
    "txt": Format(_utf8(plain_text.render), "text/plain; charset=utf-8"),
    "srt": Format(_utf8(subrip.render), "application/x-subrip; charset=utf-8"),
    "vtt": Format(_utf8(webvtt.render), "text/vtt; charset=utf-8"),
    "json": Format(_utf8(verbose_json.render), "application/json"),
    "html": Format(_utf8(page.render), "text/html; charset=utf-8"),
    "tsv": Format(_utf8(tsv.render), "text/tab-separated-values; charset=utf-8", is_optional=True),
    "ass": Format(_utf8(substation.render), "text/x-ssa; charset=utf-8", is_optional=True),
    "docx": Format(_docx, _DOCX, is_optional=True),
    "karaoke.vtt": Format(_utf8(webvtt.render_karaoke), "text/vtt; charset=utf-8", is_optional=True),
}
STANDARD = tuple(name for name, format_ in FORMATS.items() if not format_.is_optional)
"""Those that every job has."""

_SHORT_NAMES = {"karaoke": "karaoke.vtt"}


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in order, without repeats. Raises SettingsError for an unknown one."""
    said = [name.strip().lower() for name in names if name.strip()]
    asked = tuple(dict.fromkeys(_SHORT_NAMES.get(name, name) for name in said))
    unknown = [name for name in asked if name not in FORMATS]
    if unknown or not asked:
        raise SettingsError(
            f"no such format: {', '.join(unknown) or '(none given)'}", f"there are {', '.join(FORMATS)}"
        )
    return asked


def optional(names: Iterable[str]) -> tuple[str, ...]:
    """Return those formats that are made only on request."""
    return tuple(name for name in names if FORMATS[name].is_optional)


def artifact_name(format_: str, stem: str = TRANSCRIPT) -> str:
    """Return the name of a format's file."""
    return f"{stem}.{format_}"


def made_with(asked_for: Iterable[str] | None) -> list[str]:
    """Return the formats of a job: the standard ones and those asked for, in the order of `FORMATS`."""
    wanted = {*STANDARD, *(asked_for or ())}
    return [name for name in FORMATS if name in wanted]
