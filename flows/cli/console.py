"""Print results to stdout and everything else to stderr, harmless for terminals.

Names, answers and messages of others may hold anything: escape sequences that write to the clipboard or
answer for the user, and signs that turn the direction of a line. All that is printed passes `harmless`.
"""

from __future__ import annotations

import json as json_module
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.sources.file_names import as_utf8

# For pipes and files: no cell is cut.
_WIDE = 1_000

# The controls of both sets but tab and line feed, what turns or breaks lines, and halves of surrogate pairs.
_HARMFUL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufff9-\\ufffb\\ud800-\\udfff]"
)

messages = Console(stderr=True, highlight=False, soft_wrap=True)
"""For progress, logs and hints."""

results = Console(highlight=False, soft_wrap=True)
"""For results in colour, on stdout."""


def harmless(text: str) -> str:
    """Return a text in which nothing is a command to a terminal: that becomes U+FFFD."""
    return _HARMFUL.sub("\N{REPLACEMENT CHARACTER}", as_utf8(text))


class _Unread(TextIOWrapper):
    """A stream of the process whose reader may go, as `head` does: the rest then goes nowhere.

    A command goes on to its own end and exit code: what it does is not done for the reader alone.
    """

    def write(self, text: str, /) -> int:
        """Write a text, if anybody reads it."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Write what is left, if anybody reads it."""
        try:
            super().flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def be_writable() -> None:
    """See that every text can be printed, whatever the locale, and whether or not it is read to its end.

    What a locale has no sign for is escaped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, TextIOWrapper):
            continue
        stream.reconfigure(errors="backslashreplace")
        if stream is getattr(sys, f"__{name}__"):
            encoding, buffering = stream.encoding, stream.line_buffering
            mine = _Unread(stream.buffer, encoding, "backslashreplace", line_buffering=buffering)
            setattr(sys, name, mine)


def plain_table(*columns: str) -> Table:
    """Return a table to be filled by `add_plain`."""
    return Table(*columns, box=None)


def add_plain(table: Table, *cells: str, style: str | None = None) -> None:
    """Add a row in which nothing is taken for markup: names and tags are the user's."""
    table.add_row(*(Text(harmless(cell).replace("\n", " ")) for cell in cells), style=style)


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


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list; `give` shares of a terminal's width are taken from it where that is too small."""

    name: str
    right: bool = False
    give: bool = False


_LEAST_WIDTH = 8
_BETWEEN = 2
_INDENT = 4


def print_list(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], remarks: Sequence[str | None] = ()
) -> None:
    """Print a line for each row on stdout, as wide as the terminal at most, and below it its remark."""
    cells = [[_one_line(cell) for cell in row] for row in [[column.name for column in columns], *rows]]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    excess = sum(widths) + _BETWEEN * (len(widths) - 1) - results.width if results.is_terminal else 0
    giving = [number for number, column in enumerate(columns) if column.give]
    while excess > 0 and giving:
        # The widest gives way first, and of two the later one.
        widest = max(giving, key=lambda number: (widths[number], number))
        if widths[widest] <= _LEAST_WIDTH:
            break
        widths[widest], excess = widths[widest] - 1, excess - 1
    for number, row in enumerate(cells):
        line = (" " * _BETWEEN).join(map(_fit, row, widths, columns)).rstrip()
        results.print(Text(line, style="dim" if number == 0 else ""))
        remark = remarks[number - 1] if number and remarks else None
        if remark:
            said = Text(_one_line(remark), style="dim")
            if results.is_terminal:
                # Broken between words, where somebody reads it.
                results.print(Padding(said, (0, 0, 0, _INDENT), expand=False), soft_wrap=False)
            else:
                results.print(Text(" " * _INDENT).append_text(said))


def _one_line(text: str) -> str:
    return harmless(text).replace("\n", " ")


def shorten(text: str, width: int) -> str:
    """Cut a text to a number of a terminal's columns, of which an ideograph takes two."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def _fit(text: str, width: int, column: Column) -> str:
    """Write a cell as wide as its column."""
    text = shorten(text, width)
    blank = " " * (width - cell_len(text))
    return blank + text if column.right else text + blank


def count(number: int, noun: str) -> str:
    """Write a number with its noun, which is given in the singular: ``1 segment``, ``2 segments``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


_log: logging.Logger | None = None


def log_instead(logger: logging.Logger) -> None:
    """Give what is said to people to a logger from now on."""
    global _log  # noqa: PLW0603 - stderr is one for the process, too
    _log = logger


def is_live() -> bool:
    """Tell whether what stands on stderr can be drawn anew: it is a terminal, and no log."""
    return messages.is_terminal and _log is None


def _wrapped(text: str, to: Console, *, indent: int = 0) -> str:
    """Break a text between words where a terminal would within; what is longer than a line stays whole.

    Args:
        text: with its own lines.
        to: where it is printed.
        indent: the columns before each line; the first one's stand there already.
    """
    if not to.is_terminal:
        return text
    width = to.width - indent
    lines: list[str] = []
    for line in text.split("\n"):
        begun = ""
        for part in re.findall(r" *[^ ]+", line):
            if begun and cell_len(begun + part) > width and cell_len(part) <= width:
                lines.append(begun)
                begun = part.lstrip(" ")
            else:
                begun += part
        lines.append(begun)
    return f"\n{' ' * indent}".join(lines)


def is_one_place() -> bool:
    """Tell whether results and messages are read in one place: on a terminal, or in one pipe or file."""
    if results.is_terminal:
        return True
    try:
        ours, theirs = (os.fstat(stream.fileno()) for stream in (sys.stdout, sys.stderr))
    except (OSError, ValueError):
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def say(text: str, *, job: str | None = None, run: str | None = None, warning: bool = False) -> None:
    """Print a line for people, on stderr; a log has the ids, and whether it is a warning, too."""
    if _log is not None:
        _log.log(logging.WARNING if warning else logging.INFO, text, extra={"job": job, "run": run})
        return
    messages.print(_wrapped(harmless(text), messages), markup=False)


def warn(text: str) -> None:
    """Print a line for people that is a warning."""
    say(text, warning=True)


class WarningsForPeople(logging.Handler):
    """Says what is logged to people, where no log is written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say the message."""
        if _log is None:
            warn(record.getMessage())


def result(text: str) -> None:
    """Print a result, on stdout."""
    text = harmless(text)
    # What has lines of its own, such as CSV, keeps them.
    sys.stdout.write((text if "\n" in text else _wrapped(text, results)) + "\n")
    sys.stdout.flush()


def fact(name: str, text: str) -> None:
    """Print what something is called and what it is, on stdout."""
    text = _wrapped(harmless(text), results, indent=14)
    results.print(Text.assemble((f"{name:14}", "dim"), text))


def json_line(line: Mapping[str, Any] | str) -> None:
    """Print a line of JSON on stdout, ready or to be made; what is harmful in it is escaped."""
    text = line if isinstance(line, str) else json_module.dumps(line, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json_module.dumps(json_module.loads(text))
    # JSON has them inside of strings only.
    text = _HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(error: StenoflowError) -> None:
    """Print an error and its hint, on stderr."""
    if _log is not None:
        hint = f" ({error.hint})" if error.hint else ""
        _log.error(f"{error.message}{hint}", extra={"error": error.kind, "job": error.job_id})
        return
    messages.print("[bold red]error:[/] ", end="")
    messages.print(_wrapped(harmless(error.message), messages, indent=7), markup=False)
    if error.hint:
        hint = _wrapped(harmless(error.hint), messages, indent=7)
        messages.print(f"       {hint}", markup=False, style="dim")
