"""`stenoflow resume`: go on where jobs stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.batch import Order
from flows.cli import options
from flows.cli.copies import Copies
from flows.cli.digest import make_digests
from flows.cli.jobs import find_job
from flows.cli.reply import reply_again
from flows.cli.spoken import SpeechOrder, speak_jobs
from flows.cli.transcribe import run_batch
from flows.outcome import exit_code, gravest
from storage.database.reports import JobLine
from storage.database.states import JobKind
from storage.database.tables import Job
from tasks.artifacts.formats import STANDARD, check_formats, optional
from tasks.errors import SettingsError
from tasks.hearing import calls_at_once
from tasks.inbox.options import OptionsError
from tasks.intake import Wish
from tasks.job_settings import JobSettings
from tasks.settings import load_settings
from tasks.sources import resolve
from tasks.workshop import Workshop, open_workshop


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
    with open_workshop(settings) as workshop:
        lines = [find_job(workshop, job) for job in jobs]
        orders = [
            Order(source, _wish(line, micro, optional(wanted), digest=settings.digest), again=True)
            for line in lines
            if line.job.kind == JobKind.TRANSCRIBE
            for source in resolve(line.recording.source, workshop.s3)
        ]
        calls = calls_at_once(settings, concurrency)
        codes = {exit_code(run_batch(workshop, orders, wanted, calls, copies, json=json))}
        spoken = [_speech(workshop, line, out, micro) for line in lines if line.job.kind == JobKind.SPEAK]
        if spoken:
            codes |= {outcome.exit_code for outcome in speak_jobs(workshop, spoken, calls, json=json)}
        digests = [_job(workshop, line, micro) for line in lines if line.job.kind == JobKind.DIGEST]
        if digests:
            codes |= {outcome.exit_code for outcome in make_digests(workshop, digests, calls, json=json)}
        for line in lines:
            if line.job.kind == JobKind.REPLY:
                codes.add(reply_again(workshop, _job(workshop, line, micro), calls, json=json).exit_code)
    raise typer.Exit(gravest(codes))


def _speech(workshop: Workshop, line: JobLine, out: Path | None, budget_micro: int | None) -> SpeechOrder:
    """Return the order for a text; a copy of its sound is called after the job."""
    job = _job(workshop, line, budget_micro)
    return SpeechOrder(job, out and out / f"{job.id}.{job.settings['format']}")


def _job(workshop: Workshop, line: JobLine, budget_micro: int | None) -> Job:
    """Return a job, with another budget if one is given."""
    return line.job if budget_micro is None else workshop.catalog.set_budget(line.job.id, budget_micro)


def _wish(line: JobLine, budget_micro: int | None, formats: tuple[str, ...], *, digest: bool) -> Wish:
    if line.job.error_kind == OptionsError.kind:
        raise SettingsError(
            f"job {line.job.id} was refused for its options, which nobody knows here",
            "mend the file beside the recording, and run ingest again",
        )
    kept = line.job.budget_micro if budget_micro is None else budget_micro
    return Wish(JobSettings.from_dict(line.job.settings), line.job.tag, kept, formats, digest=digest)
