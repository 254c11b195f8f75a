"""`stenoflow resume`: go on where jobs stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stenoflow.flows.batch import Order
from stenoflow.flows.cli import options
from stenoflow.flows.cli.digest import make_digests
from stenoflow.flows.cli.jobs import find_job
from stenoflow.flows.cli.outcomes import Copies
from stenoflow.flows.cli.reply import reply_again
from stenoflow.flows.cli.speak import SpeechOrder, speak_jobs
from stenoflow.flows.cli.transcribe import run_batch
from stenoflow.flows.outcome import exit_code, gravest
from stenoflow.storage.database.reports import JobLine
from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.artifacts.formats import STANDARD, check_formats, optional
from stenoflow.tasks.assembly.settings import JobSettings
from stenoflow.tasks.calls.provider import calls_at_once
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.prepare import TranscribeRequest
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.inbox.options import OptionsError


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
        lines = [find_job(context, job) for job in jobs]
        orders = [
            Order(source, _wish(line, micro, optional(wanted), digest=settings.digest), again=True)
            for line in lines
            if line.job.kind == JobKind.TRANSCRIBE
            for source in resolve(line.recording.source, context.s3)
        ]
        calls = calls_at_once(settings, concurrency)
        codes = {exit_code(run_batch(context, orders, wanted, calls, copies, json=json))}
        spoken = [_speech(context, line, out, micro) for line in lines if line.job.kind == JobKind.SPEAK]
        if spoken:
            codes |= {outcome.exit_code for outcome in speak_jobs(context, spoken, calls, json=json)}
        digests = [_job(context, line, micro) for line in lines if line.job.kind == JobKind.MINUTES]
        if digests:
            codes |= {outcome.exit_code for outcome in make_digests(context, digests, calls, json=json)}
        for line in lines:
            if line.job.kind == JobKind.REPLY:
                codes.add(reply_again(context, _job(context, line, micro), calls, json=json).exit_code)
    raise typer.Exit(gravest(codes))


def _speech(context: AppContext, line: JobLine, out: Path | None, budget_micro: int | None) -> SpeechOrder:
    """Return the order for a text; a copy of its sound is called after the job."""
    job = _job(context, line, budget_micro)
    return SpeechOrder(job, out and out / f"{job.id}.{job.settings['format']}")


def _job(context: AppContext, line: JobLine, budget_micro: int | None) -> Job:
    """Return a job, with another budget if one is given."""
    return line.job if budget_micro is None else context.catalog.set_budget(line.job.id, budget_micro)


def _wish(
    line: JobLine, budget_micro: int | None, formats: tuple[str, ...], *, digest: bool
) -> TranscribeRequest:
    if line.job.error_kind == OptionsError.kind:
        raise SettingsError(
            f"job {line.job.id} was refused for its options, which nobody knows here",
            "mend the file beside the recording, and run ingest again",
        )
    kept = line.job.budget_micro if budget_micro is None else budget_micro
    return TranscribeRequest(
        JobSettings.from_dict(line.job.settings), line.job.tag, kept, formats, digest=digest
    )
