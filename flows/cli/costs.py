"""`stenoflow costs`: what was spent, by any heading."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import (
    Column,
    json_line,
    print_list,
    result,
    say,
)
from stenoflow.storage.database.costs import NO_HEADING, CostLine, CostsBy, Spending
from stenoflow.storage.database.states import Activity
from stenoflow.tasks.artifacts.sanitize import for_cell
from stenoflow.tasks.billing.amounts import from_micro, show
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.timecode import clock


class _CostsFormat(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def costs(
    by: Annotated[CostsBy, typer.Option(help=f"What to sum by: {', '.join(CostsBy)}.")] = CostsBy.DAY,
    since: options.Since = None,
    format_: Annotated[
        _CostsFormat, typer.Option("--format", help="How to print it: table, csv or json.")
    ] = _CostsFormat.TABLE,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what was spent, and of that on transcription, chat and speech.

    "requests" are those that were or may have been charged; show counts those that were refused, too.
    "possible" is what lost replies may have cost beside that. Days and months are those of UTC, as they are
    for budgets.

    Example: [bold]stenoflow costs --by tag --since 2026-11-01 --format csv[/]
    """
    with open_context(load_settings()) as context:
        lines = context.reports.costs(by, since)
        budgets = context.ledger.budgets_of_the_month()
    rows = [_cost_row(by, line) for line in lines]
    if json or format_ is _CostsFormat.JSON:
        for row in rows:
            json_line(row)
    elif format_ is _CostsFormat.CSV:
        result(_costs_csv(by, rows))
    elif lines:
        _print_costs(by, lines)
    else:
        say("Nothing was charged." if since is None else f"Nothing was charged since {since:%Y-%m-%d}.")
    for scope, exposure, cap in budgets:
        left = f"{show(cap - exposure)} left" if exposure <= cap else "nothing left"
        say(f"budget for {scope}: {show(exposure)} of {show(cap)} USD, {left}")


def _cost_row(by: CostsBy, line: CostLine) -> dict[str, Any]:
    return {
        by.value: line.heading,
        "requests": line.calls,
        "audio_seconds": line.audio_ms / 1000,
        "cost": f"{from_micro(line.spending.actual_micro):.6f}",
        "possible": f"{from_micro(line.spending.possible_micro):.6f}",
        "unpriced": line.spending.unpriced,
        "currency": line.currency,
        **{name: f"{from_micro(micro):.6f}" for name, micro in line.by_activity.items()},
        "characters": line.characters,
    }


def _cost_columns(by: CostsBy) -> list[str]:
    counted = [by.value, "requests", "audio_seconds", "cost", "possible", "unpriced", "currency"]
    return [*counted, *Activity, "characters"]


def _costs_csv(by: CostsBy, rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _cost_columns(by), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        # Others name tags and recordings; the amounts are ours, and so is the sign for none.
        heading = row[by.value]
        writer.writerow({**row, by.value: heading if heading == NO_HEADING else for_cell(heading)})
    return text.getvalue().rstrip("\n")


def _print_costs(by: CostsBy, lines: Sequence[CostLine]) -> None:
    """Print a table for people, with totals; columns in which nothing stands are left out."""
    totals = [_total_of(lines, currency) for currency in sorted({line.currency for line in lines})]
    shown = [*lines, *totals] if len(lines) > 1 else list(lines)
    wanted: dict[str, Callable[[CostLine], str]] = {
        "requests": lambda line: f"{line.calls:,}",
        "audio": lambda line: clock(line.audio_ms) if line.audio_ms else "",
        "characters": lambda line: f"{line.characters:,}" if line.characters else "",
        "cost": lambda line: f"{show(line.spending.actual_micro)} {line.currency}",
        "possible": lambda line: (
            f"{show(line.spending.possible_micro)} {line.currency}" if line.spending.possible_micro else ""
        ),
        "no price": lambda line: str(line.spending.unpriced or ""),
    }
    cells = {name: [write(line) for line in shown] for name, write in wanted.items()}
    used = {name: column for name, column in cells.items() if any(column)}
    heading = f"{by.value} (UTC)" if by in {CostsBy.DAY, CostsBy.MONTH} else by.value
    columns = [Column(heading, give=True), *(Column(name, right=True) for name in used)]
    print_list(columns, list(zip([line.heading for line in shown], *used.values(), strict=True)))
    for total in totals:
        parts = [f"{name} {show(micro)}" for name, micro in total.by_activity.items() if micro]
        if len(parts) > 1:
            result(f"of the {total.currency}: {', '.join(parts)}")


def _total_of(lines: Sequence[CostLine], currency: str) -> CostLine:
    """Add up the lines in one currency."""
    own = [line for line in lines if line.currency == currency]
    spent = [line.spending for line in own]
    return CostLine(
        "in total",
        currency,
        sum(line.calls for line in own),
        sum(line.audio_ms for line in own),
        Spending(
            sum(each.actual_micro for each in spent),
            sum(each.possible_micro for each in spent),
            sum(each.unpriced for each in spent),
        ),
        sum(line.characters for line in own),
        {name: sum(line.by_activity[name] for line in own) for name in own[0].by_activity},
    )
