"""How a file is named to people."""

from __future__ import annotations

from pathlib import Path

_LONGEST = 120


def shown(path: Path) -> str:
    """Return the file's name as one printable line, whatever bytes it is made of."""
    name = path.name.encode(errors="replace").decode()
    printable = "".join(char if char.isprintable() else "?" for char in name)
    return printable if len(printable) <= _LONGEST else f"{printable[:_LONGEST]}..."
