"""`stenoflow costs`: what was spent, by day, month, model, recording, tag or activity."""

from __future__ import annotations

import csv
import io
import json as json_module
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from stenoflow.flows.cli.console import add_plain, plain_table, print_table, result, say
from stenoflow.storage.database.reports import CostLine, CostsBy
from stenoflow.storage.database.states import Activity
from stenoflow.tasks.billing.amounts import from_micro, show
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings


class _Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def costs(
    by: Annotated[CostsBy, typer.Option(help="What to sum by.")] = CostsBy.DAY,
    since: Annotated[
        datetime | None,
        typer.Option(help="Charges from this day on (UTC).", formats=["%Y-%m-%d"], show_default=False),
    ] = None,
    format_: Annotated[_Format, typer.Option("--format", help="How to print it.")] = _Format.TABLE,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what was spent, and of that on hearing, chat and speaking.

    "possible" is what lost replies may have cost beside that.

    Example: [bold]stenoflow costs --by tag --since 2026-11-01 --format csv[/]
    """
    with open_context(load_settings()) as context:
        lines = context.reports.costs(by, since and since.replace(tzinfo=UTC))
        budgets = context.ledger.budgets_of_the_month()
    rows = [_row(by, line) for line in lines]
    if json or format_ is _Format.JSON:
        for row in rows:
            result(json_module.dumps(row, ensure_ascii=False))
    elif format_ is _Format.CSV:
        result(_csv(by, rows))
    else:
        print_table(_table(by, rows))
    for scope, exposure, cap in budgets:
        say(f"budget for {scope}: {show(exposure)} of {show(cap)} USD")


def _row(by: CostsBy, line: CostLine) -> dict[str, Any]:
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


def _columns(by: CostsBy) -> list[str]:
    counted = [by.value, "requests", "audio_seconds", "cost", "possible", "unpriced", "currency"]
    return [*counted, *Activity, "characters"]


def _csv(by: CostsBy, rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(by), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _table(by: CostsBy, rows: Sequence[dict[str, Any]]) -> Table:
    table = plain_table()
    for column in _columns(by):
        table.add_column(column, justify="left" if column in {by.value, "currency"} else "right")
    for row in rows:
        add_plain(table, *(str(value) for value in row.values()))
    return table
