"""`stenoflow rehearse`: what another model makes of recordings that were transcribed before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.app import INTERRUPTED
from stenoflow.flows.cli.console import json_line, print_rows, say
from stenoflow.flows.cli.progress import ProgressDisplay
from stenoflow.flows.orchestration import Orchestration
from stenoflow.flows.outcome import FAILED
from stenoflow.flows.rehearse import rehearse as run_rehearsal
from stenoflow.flows.runner import Runner, run_until_signal
from stenoflow.storage.database.states import PUBLISHED
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.calls.failover import Candidate
from stenoflow.tasks.calls.provider import calls_at_once, find_provider
from stenoflow.tasks.context import open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.operations.rehearsal import REHEARSAL_TAG, RehearsedJob, by_inbox, past_jobs, summed
from stenoflow.tasks.settings import Settings, load_settings

_COLUMNS = ("inbox", "recording", "differs", "before", "after", "loses", "remark")


def rehearse(
    successor: Annotated[
        str,
        typer.Option(help="The model to try: MODEL, or PROVIDER:MODEL of another provider.", metavar="MODEL"),
    ],
    jobs: Annotated[int, typer.Option(help="How many recordings, the newest first.", min=1, max=1000)] = 10,
    inbox: Annotated[
        str | None, typer.Option(help="Only those of this inbox, by its name.", show_default=False)
    ] = None,
    tag: Annotated[
        str | None, typer.Option(help="Only those of jobs with this tag.", show_default=False)
    ] = None,
    concurrency: options.Concurrency = None,
    budget: options.Budget = None,
    json: options.Json = False,
) -> None:
    """Transcribe past recordings by another model, and tell how far it differs, what it costs and loses.

    The past jobs stay as they are. What is bought is kept, and needs not be bought again after a change.

    Example: [bold]stenoflow rehearse --successor gpt-transcribe --jobs 10 --budget 0.50[/]
    """
    settings, model = _asking(load_settings().with_budget(budget), successor)
    with open_context(settings) as context:
        context.check()
        past = past_jobs(context, jobs, tag=tag, inbox=inbox)
        if not past:
            raise SettingsError("there is no transcription to rehearse", "stenoflow jobs lists what there is")
        with ProgressDisplay(context, lambda _: None) as display:
            runner = Runner(
                context,
                calls_at_once(settings, concurrency),
                display,
                Orchestration(settings.home, say),
                say=say,
            )
            found = run_until_signal(runner, run_rehearsal(runner, past, model, say))
        interrupted = runner.interrupted
    _print(found, successor, json=json)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if all(each.status in PUBLISHED for each in found) else FAILED)


def _asking(settings: Settings, successor: str) -> tuple[Settings, str]:
    """Return the settings by which the successor is asked, and its name."""
    named = Candidate.read(successor)
    if not named.model:
        return settings, successor
    find_provider(settings, named.provider)
    return settings.model_copy(update={"transcription_provider": named.provider}), named.model


def _print(found: Sequence[RehearsedJob], successor: str, *, json: bool) -> None:
    if json:
        for each in found:
            json_line(_line(each))
        for inbox, its in by_inbox(found):
            json_line({"inbox": inbox, "successor": successor, **summed(its)})
        return
    rows = [_row(each) for each in found]
    for inbox, its in by_inbox(found):
        total = summed(its)
        rows.append(
            (
                inbox,
                f"all {total['compared']} of {total['jobs']}",
                _share(total["disagreement"]),
                _usd(total["price_before"]),
                _usd(total["price_after"]),
                ", ".join(total["lost"]),
                f"rehearsal cost {_usd(total['cost'])}",
            )
        )
    print_rows(_COLUMNS, rows)
    say(
        "Differs: words that must be changed in the earlier transcript to get the later one; neither is taken"
        f" to be right. Before, after: list price in USD. The rehearsals have the tag {REHEARSAL_TAG}."
    )


def _line(each: RehearsedJob) -> dict[str, Any]:
    """Return the JSON line of one recording."""
    return {
        "job": each.past.job.id,
        "recording": each.past.recording.id,
        "name": each.past.recording.name,
        "inbox": each.past.inbox,
        "model": each.past.job.settings["model"],
        "rehearsal": each.rehearsal,
        "status": each.status,
        **{key: value for key, value in summed([each]).items() if key not in {"jobs", "compared"}},
        "languages": None if each.languages is None else list(each.languages),
        "error": each.error,
    }


def _row(each: RehearsedJob) -> tuple[str, ...]:
    micro = each.before_micro, each.after_micro
    before, after = ("unknown" if value is None else show(value) for value in micro)
    remark = each.error or ""
    if each.languages is not None:
        told, now = (said or "not told" for said in each.languages)
        remark = f"language {told}, now {now}" + (f"; {remark}" if remark else "")
    differs = _share(each.disagreement.rate) if each.status in PUBLISHED else each.status
    return each.past.inbox, each.past.recording.name, differs, before, after, ", ".join(each.lost), remark


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:.4f}"
