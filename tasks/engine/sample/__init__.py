"""The sample meeting that the demo transcribes: its sound and its script.

``python -m tests.engine.make_sample`` speaks ``script.txt`` into ``meeting.opus``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

__all__ = ["ScriptLine", "parse_script", "script_lines", "script_text", "sound"]


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """What one person says in one breath.

    ``new_topic`` is true where the meeting turns to another point: a longer pause comes before it.
    """

    speaker: str
    text: str
    new_topic: bool = False


def sound() -> Path:
    """Return the recording of the sample meeting: Ogg Opus, 16 kHz mono, about two minutes."""
    return Path(str(resources.files(__name__) / "meeting.opus"))


def script_lines() -> tuple[ScriptLine, ...]:
    """Return who says what in the sample meeting, in order."""
    script = resources.files(__name__) / "script.txt"
    return parse_script(script.read_text(encoding="utf-8"))


def script_text() -> str:
    """Return the words of the sample meeting in order, without the speakers' names."""
    return " ".join(line.text for line in script_lines())


def parse_script(script: str) -> tuple[ScriptLine, ...]:
    """Read lines of the form ``NAME: text``; a blank line between them opens a new topic."""
    lines: list[ScriptLine] = []
    new_topic = False
    for row in script.splitlines():
        speaker, colon, text = row.partition(":")
        if colon:
            lines.append(ScriptLine(speaker.strip(), text.strip(), new_topic))
        new_topic = not row.strip()
    return tuple(lines)
