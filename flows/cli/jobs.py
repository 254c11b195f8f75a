"""`stenoflow jobs`: the list of jobs; and what every command says of one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import json_line, print_rows
from stenoflow.storage.database.reports import JobLine, Spending
from stenoflow.storage.database.states import JobKind, JobState
from stenoflow.tasks.billing.amounts import show as show_money
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds


def jobs(
    state: Annotated[
        JobState | None, typer.Option(help="Only jobs in this state.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    json: options.Json = False,
) -> None:
    """List jobs, newest first, with their state and what they cost.

    Example: [bold]stenoflow jobs --state partial[/]
    """
    with open_context(load_settings()) as context:
        lines = context.reports.jobs(state=state, limit=limit)
    if json:
        for line in lines:
            json_line(summary(line))
        return
    print_rows(
        ("job", "kind", "recording", "state", "duration", "model", "cost", "tag", "reason"),
        (
            (
                line.job.id,
                line.job.kind,
                line.recording.name,
                line.job.state,
                clock(_duration_ms(line)),
                line.job.settings["model"],
                _cost(line.spending),
                line.job.tag or "",
                line.job.error_message or "",
            )
            for line in lines
        ),
    )


def find_job(context: AppContext, prefix: str) -> JobLine:
    """Find the one job whose id begins so. Raises SettingsError where there is none, or several."""
    found = context.reports.jobs(prefix, limit=2)
    if not found or not prefix:
        raise SettingsError(f"there is no job {prefix}", "stenoflow jobs lists them")
    if len(found) > 1:
        raise SettingsError(f"several jobs begin with {prefix}", "give more of the id")
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


def _cost(spending: Spending) -> str:
    cost = "unknown" if spending.unpriced else show_money(spending.actual_micro)
    return f"{cost} (+{show_money(spending.possible_micro)}?)" if spending.possible_micro else cost
