"""`stenoflow jobs`: the list of jobs; and what every command says of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import console, options
from stenoflow.flows.cli.console import Column, json_line, print_list, say, shorten
from stenoflow.storage.database.costs import Spending
from stenoflow.storage.database.reports import JobFilter, JobLine
from stenoflow.storage.database.rows import LEAST_OF_ID
from stenoflow.storage.database.states import JobKind, JobState
from stenoflow.tasks.billing.amounts import show as show_money
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds


def jobs(
    state: Annotated[
        JobState | None,
        typer.Option(help=f"Only jobs in this state: {', '.join(JobState)}.", show_default=False),
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.", show_default=False)] = None,
    since: options.SinceHere = None,
    search: Annotated[
        str | None,
        typer.Option(help="Only recordings with this in their name or address.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    json: options.Json = False,
) -> None:
    """List jobs, newest first, with their state and what they cost.

    Dates are those of this machine's zone, those of --json UTC.

    Example: [bold]stenoflow jobs --state partial --since 2026-11-01[/]
    """
    only = JobFilter(state=state, tag=tag, since=since, search=search)
    with open_context(load_settings()) as context:
        found = context.reports.jobs(only, limit=limit + 1)
    lines, more = found[:limit], len(found) > limit
    if json:
        for line in lines:
            json_line(summary(line))
        return
    if lines:
        _print_lines(lines)
    elif only == JobFilter():
        say("There are no jobs yet. Begin with: stenoflow transcribe RECORDING, or: stenoflow demo")
    else:
        say("No job is like that; stenoflow jobs lists all.")
    if more:
        newest = "This is the newest one" if limit == 1 else f"These are the newest {limit}"
        say(f"{newest}; --limit shows more, --search and --tag fewer.")


_COLUMNS = (
    Column("date"),
    Column("job"),
    Column("length", right=True),
    Column("state"),
    Column("cost", right=True),
    Column("tag", give=True),
    Column("name", give=True),
)
_SHORT_TAG = 8
_NAMES = [column.name for column in _COLUMNS]
# Columns of a terminal; with fewer, a tag is cut before a name is.
_WIDE = 110
SHORT_ID = 8
"""Characters of an id where people read it."""


def _print_lines(lines: Sequence[JobLine]) -> None:
    """Print jobs, their costs by the decimal point; names have what room there is."""
    rows = [list(_row(line)) for line in lines]
    cost, tag = _NAMES.index("cost"), _NAMES.index("tag")
    decimals = max(len(_fraction(row[cost])) for row in rows)
    is_narrow = console.results.is_terminal and console.results.width < _WIDE
    for row in rows:
        amount, space, rest = row[cost].partition(" ")
        row[cost] = f"{amount}{' ' * (decimals - len(_fraction(amount)))}{space}{rest}"
        row[tag] = shorten(row[tag], _SHORT_TAG) if is_narrow else row[tag]
    columns = list(_COLUMNS)
    if is_narrow and not any(row[tag] for row in rows):
        rows = [[*row[:tag], *row[tag + 1 :]] for row in rows]
        del columns[tag]
    print_list(columns, rows, [_remark(line) for line in lines])


def _fraction(cost: str) -> str:
    return cost.partition(" ")[0].partition(".")[2]


def _row(line: JobLine) -> tuple[str, ...]:
    name, spent = line.recording.name, line.spending
    if console.results.is_terminal:
        # What is possible beside that stands below, where there is room for it.
        spent = replace(spent, possible_micro=0)
    return (
        short_date(line.job.created_at),
        # Copied from a terminal, the beginning of an id will do; programs get all of it.
        line.job.id[:SHORT_ID] if console.results.is_terminal else line.job.id,
        clock(_duration_ms(line)),
        line.job.state,
        cost_text(spent, line.currency),
        line.job.tag or "",
        name if line.job.kind == JobKind.TRANSCRIBE else f"{line.job.kind}: {name}",
    )


def _remark(line: JobLine) -> str | None:
    why, name = line.job.error_message or "", line.recording.name
    # The row above says which it is.
    said = [why.removeprefix(f"{name}: ").removeprefix(f"{name} is ")]
    if console.results.is_terminal and (possible := line.spending.possible_micro):
        said.append(f"lost replies may have cost {show_money(possible)} {line.currency} more")
    return "; ".join(filter(None, said)) or None


_MOST_NAMED = 3


def find_job(context: AppContext, prefix: str) -> JobLine:
    """Find the one job whose id begins so.

    Raises:
        SettingsError: there is none, there are several, or the beginning is too short to be no mistake.
    """
    if len(prefix) < LEAST_OF_ID:
        raise SettingsError(
            f"'{prefix}' is too short to tell a job",
            f"give at least {LEAST_OF_ID} characters of its id; stenoflow jobs lists them",
        )
    found = context.reports.jobs(JobFilter(prefix), limit=_MOST_NAMED + 1)
    if not found:
        raise SettingsError(f"there is no job {prefix}", "stenoflow jobs lists them")
    if len(found) > 1:
        named = [f"{line.job.id} ({line.recording.name})" for line in found[:_MOST_NAMED]]
        more = ", …" if len(found) > _MOST_NAMED else ""
        raise SettingsError(f"several jobs begin with {prefix}", f"they are {', '.join(named)}{more}")
    return found[0]


def summary(line: JobLine) -> dict[str, Any]:
    """Return what `jobs --json` says of a job."""
    return {
        "job": line.job.id,
        "kind": line.job.kind,
        "recording": line.recording.id,
        "name": line.recording.name,
        "source": line.recording.source,
        "state": line.job.state,
        "duration": seconds(_duration_ms(line)),
        "model": line.job.settings["model"],
        "tag": line.job.tag,
        "cost": None if line.spending.unpriced else show_money(line.spending.actual_micro),
        "currency": line.currency,
        "possible_cost": show_money(line.spending.possible_micro),
        "created": line.job.created_at.isoformat(),
        "error": line.job.error_kind
        and {"kind": line.job.error_kind, "message": line.job.error_message or ""},
    }


def _duration_ms(line: JobLine) -> int:
    """Return the length of a job's recording, or of its speech where it speaks a text."""
    if line.job.kind == JobKind.SPEAK:
        return samples_to_ms(line.job.samples or 0)
    return line.recording.duration_ms or 0


def cost_text(spending: Spending, currency: str) -> str:
    """Write what was spent, and behind a + what lost replies may have cost, for people."""
    cost = "unknown" if spending.unpriced else f"{show_money(spending.actual_micro)} {currency}"
    return f"{cost} (+{show_money(spending.possible_micro)}?)" if spending.possible_micro else cost


def short_date(moment: datetime) -> str:
    """Write a time of this machine's zone: ``28 Nov 14:03``, or ``28 Nov 2025`` of another year."""
    local = moment.astimezone()
    this_year = local.year == datetime.now(UTC).astimezone().year
    return f"{local:%d %b %H:%M}" if this_year else f"{local:%d %b %Y}"
