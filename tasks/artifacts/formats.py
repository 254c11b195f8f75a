"""The formats that are published, by their endings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tasks.artifacts import page, plain_text, subtitles, verbose_json
from tasks.artifacts.document import Document
from tasks.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Format:
    """A format: how it is rendered (to UTF-8 text), and its media type."""

    render: Callable[[Document], str]
    content_type: str


FORMATS: dict[str, Format] = {
    "txt": Format(plain_text.render, "text/plain; charset=utf-8"),
    "srt": Format(subtitles.render_srt, "application/x-subrip; charset=utf-8"),
    "vtt": Format(subtitles.render_vtt, "text/vtt; charset=utf-8"),
    "json": Format(verbose_json.render, "application/json"),
    "html": Format(page.render, "text/html; charset=utf-8"),
}


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, each once, in order. Raises SettingsError for one that there is none of."""
    asked = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    unknown = [name for name in asked if name not in FORMATS]
    if unknown or not asked:
        raise SettingsError(
            f"no such format: {', '.join(unknown) or '(none given)'}", f"there are {', '.join(FORMATS)}"
        )
    return asked
