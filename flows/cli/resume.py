"""`stenoflow resume`: go on where jobs stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import say
from stenoflow.flows.cli.jobs import find_job
from stenoflow.flows.cli.outcomes import Copies, run_works
from stenoflow.flows.outcome import exit_code
from stenoflow.flows.resume import works_to_resume
from stenoflow.storage.database.reports import JobLine
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.artifacts.formats import STANDARD, check_formats, optional
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.settings import load_settings


def resume(
    jobs: Annotated[
        list[str], typer.Argument(help="Jobs, or the beginnings of their ids.", show_default=False)
    ],
    out: options.Out = None,
    formats: options.Formats = ",".join(STANDARD),
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    json: options.Json = False,
) -> None:
    """Go on where jobs stopped: only what has no answer yet is sent.

    Example: [bold]stenoflow resume 3f9a2c[/]
    """
    settings = load_settings().with_budget(budget)
    wanted = check_formats(formats.split(","))
    micro = options.budget_micro(budget)
    copies = Copies(out)
    with open_context(settings) as context:
        works = [
            work
            for line in [find_job(context, job) for job in jobs]
            for work in works_to_resume(
                context,
                _job(context, line, micro),
                wanted,
                more_formats=optional(wanted),
                folder=out,
                tell=lambda step: say(step.to_text()),
            )
        ]
        calls = calls_at_once(settings, concurrency)
        outcomes = run_works(context, works, calls, copies=copies, json=json)
    raise typer.Exit(exit_code(outcomes))


def _job(context: AppContext, line: JobLine, budget_micro: int | None) -> Job:
    """Return a job, with another budget if one is given."""
    return line.job if budget_micro is None else context.catalog.set_budget(line.job.id, budget_micro)
