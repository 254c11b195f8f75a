"""What speakers are to be called, as people write it."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.errors import SettingsError

_LONGEST_NAME = 100


def name_of(written: str) -> tuple[str, str]:
    """Read ``A=Anna``: what a speaker is called now, and is to be called.

    Raises:
        SettingsError: it is written otherwise, or too long.
    """
    label, equals, name = (part.strip() for part in written.partition("="))
    if not (equals and label and name) or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SettingsError(
            f"{written[:100]!r} gives no speaker a name",
            f"write it as A=Anna, or 'Channel 1=Anna'; a name has up to {_LONGEST_NAME} characters",
        )
    return label, name


def unknown_speaker(said: str, known: Iterable[str]) -> SettingsError:
    """Return the error for a name that is nobody's."""
    there = ", ".join(dict.fromkeys(known))
    return SettingsError(
        f"no speaker is called {said!r}", f"there are {there}" if there else "nobody is told apart"
    )
