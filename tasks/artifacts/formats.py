"""The formats that are published, by their endings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module

from stenoflow.tasks.artifacts.document import TRANSCRIPT, Document
from stenoflow.tasks.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ArtifactFormat:
    """A format: how it is rendered, the same again byte for byte, and its media type.

    Attributes:
        is_optional: made only of jobs of which it was asked for.
    """

    render: Callable[[Document], bytes]
    content_type: str
    is_optional: bool = False


def _by(module: str, function: str = "render") -> Callable[[Document], bytes]:
    """Return what renders by a module beside this one; it is loaded then: some take a third of a second."""

    def render(document: Document) -> bytes:
        loaded = import_module(f"stenoflow.tasks.artifacts.{module}")
        rendered: str | bytes = getattr(loaded, function)(document)
        return rendered if isinstance(rendered, bytes) else rendered.encode(errors="replace")

    return render


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

FORMATS: dict[str, ArtifactFormat] = {
    "txt": ArtifactFormat(_by("plain_text"), "text/plain; charset=utf-8"),
    "srt": ArtifactFormat(_by("subrip"), "application/x-subrip; charset=utf-8"),
    "vtt": ArtifactFormat(_by("webvtt"), "text/vtt; charset=utf-8"),
    "json": ArtifactFormat(_by("verbose_json"), "application/json"),
    "html": ArtifactFormat(_by("page"), "text/html; charset=utf-8"),
    "tsv": ArtifactFormat(_by("tsv"), "text/tab-separated-values; charset=utf-8", is_optional=True),
    "ass": ArtifactFormat(_by("substation"), "text/x-ssa; charset=utf-8", is_optional=True),
    "docx": ArtifactFormat(_by("word_document"), _DOCX, is_optional=True),
    "karaoke.vtt": ArtifactFormat(
        _by("webvtt", "render_karaoke"), "text/vtt; charset=utf-8", is_optional=True
    ),
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
