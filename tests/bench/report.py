"""What was measured, as a table for people and as JSON with every raw figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        reached: None where nothing must be reached, or where it could not be measured.
    """

    what: str
    figure: str
    must_reach: str = ""
    reached: bool | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one row came to.

    Attributes:
        raw: everything that was measured, for the JSON.
        failed: why it could not be run.
    """

    figures: Sequence[Figure]
    raw: dict[str, Any] = field(default_factory=dict)
    failed: str | None = None

    @classmethod
    def not_run(cls, why: str) -> Measured:
        """Say why there is no figure."""
        return cls([Figure("not run", why)], failed=why)


def at_most(what: str, value: float, limit: float, *, unit: str = "", detail: str = "") -> Figure:
    """Make the line of a figure that may not be above a limit."""
    shown = f"{value:.3g}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return Figure(
        what, f"{shown}{f' ({detail})' if detail else ''}", f"≤ {limit:g}{unit}", reached=value <= limit
    )


def show(rows: dict[str, Measured], console: Console, *, title: str) -> None:
    """Print the table."""
    table = Table("row", "measured", "figure", "must reach", "reached", title=title, title_justify="left")
    for name, measured in rows.items():
        for first, figure in enumerate(measured.figures):
            table.add_row(
                "" if first else name, figure.what, figure.figure, figure.must_reach, _verdict(figure)
            )
        table.add_section()
    console.print(table)


def write(path: Path, machine: dict[str, Any], rows: dict[str, Measured]) -> None:
    """Write the JSON."""
    content = {"machine": machine, "rows": {name: asdict(measured) for name, measured in rows.items()}}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _verdict(figure: Figure) -> str:
    if figure.reached is None:
        return ""
    return "[green]yes[/]" if figure.reached else "[red]no[/]"
