"""Print results to stdout and everything else to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stenoflow.storage.errors import StenoflowError

# For pipes and files: no cell is cut.
_WIDE = 1_000

messages = Console(stderr=True, highlight=False, soft_wrap=True)
"""For progress, logs and hints."""

results = Console(highlight=False, soft_wrap=True)
"""For results in colour, on stdout."""


def plain_table(*columns: str) -> Table:
    """Return a table to be filled by `add_plain`."""
    return Table(*columns, box=None)


def add_plain(table: Table, *cells: str, style: str | None = None) -> None:
    """Add a row in which nothing is taken for markup: names and tags are the user's."""
    table.add_row(*map(Text, cells), style=style)


def print_table(table: Table) -> None:
    """Print a table on stdout: as wide as the terminal, or as it needs where there is none."""
    console = results if results.is_terminal else Console(highlight=False, width=_WIDE)
    console.print(table, soft_wrap=False)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table of plain texts on stdout; None is an empty cell."""
    table = plain_table(*columns)
    for row in rows:
        add_plain(table, *("" if cell is None else str(cell) for cell in row))
    print_table(table)


def count(number: int, noun: str) -> str:
    """Write a number with its noun, which is given in the singular: ``1 segment``, ``2 segments``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def say(text: str) -> None:
    """Print a line for people, on stderr."""
    messages.print(text, markup=False)


def result(text: str) -> None:
    """Print a result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(error: StenoflowError) -> None:
    """Print an error and its hint, on stderr."""
    messages.print("[bold red]error:[/] ", end="")
    messages.print(error.message, markup=False)
    if error.hint:
        messages.print(f"       {error.hint}", markup=False, style="dim")
