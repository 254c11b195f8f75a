"""`stenoflow show JOB`: one job whole, of any kind; its page, and the rules that its subtitles break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import count, fact, json_line, print_rows, result, say
from stenoflow.flows.cli.jobs import cost_text, find_job, summary
from stenoflow.storage.database.reports import JobLine
from stenoflow.storage.database.states import ChargeKind, JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.billing.amounts import show as show_money
from stenoflow.tasks.billing.amounts import to_micro
from stenoflow.tasks.billing.prices import Unit
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.timecode import clock, seconds

if TYPE_CHECKING:
    from stenoflow.flows.cli.show_segments import JobView
    from stenoflow.tasks.artifacts.document import Document
    from stenoflow.tasks.jobs.transcribe.request import SpeakersWanted


def show(
    job: Annotated[str, typer.Argument(help="A job, or the beginning of its id.", show_default=False)],
    lint: Annotated[
        bool, typer.Option("--lint", help="Show where the subtitles do not keep their rules.")
    ] = False,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            help="Call a speaker otherwise, and write the artifacts anew; calls nobody. May be repeated.",
            metavar="A=Anna",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the page to listen and read to this file.", show_default=False),
    ] = None,
    embed: Annotated[
        bool, typer.Option("--embed", help="With --page: put the recording into it, about 15 MB an hour.")
    ] = False,
    speakers: options.ByVoices = None,
    min_speakers: options.MinSpeakers = None,
    max_speakers: options.MaxSpeakers = None,
    segments: Annotated[
        bool, typer.Option("--segments", help="Show every segment, seam and charge.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show one job whole: its segments, requests, charges and artifacts.

    Example: [bold]stenoflow show 3f9a2c --page talk.html --embed[/]
    """
    if embed and page is None:
        raise SettingsError("--embed is for --page FILE")
    voices = options.by_voices(speakers, min_speakers, max_speakers)
    with open_context(load_settings()) as context:
        line = find_job(context, job)
        kind = JobKind(line.job.kind)
        if kind != JobKind.TRANSCRIBE and (lint or rename or voices or page is not None):
            raise _without_subtitles(line.job)
        if voices is not None:
            raise typer.Exit(_tell_voices(context, line.job, voices, json=json))
        if rename:
            from stenoflow.tasks.jobs.transcribe.publish import rename as rename_speakers  # noqa: PLC0415 - for this

            rename_speakers(context, line.job.id, options.names_of(rename))
            line = find_job(context, line.job.id)
        if page is not None:
            _write_page(context, line.job, page, embed=embed, json=json)
            return
        if lint:
            from stenoflow.tasks.jobs.transcribe.publish import document_of  # noqa: PLC0415 - for this

            _print_lint(document_of(context, line.job, context.catalog.segments(line.job.id)), json=json)
            return
        # Not to complete an id: a shell waits for that at each press of a key.
        from stenoflow.flows.cli.show_segments import VIEWS  # noqa: PLC0415

        view, described = VIEWS[kind], summary(line)
        described |= view.describe(context, line.job) | _charges_and_artifacts(context, line.job)
    if json:
        json_line(described)
        return
    _print_facts(line, described, view)
    view.print_segments(described, whole=segments)
    _print_charges(described["charges"], whole=segments)
    for name, artifact in described["artifacts"].items():
        result(f"{name:16} {artifact['uri']}")


def _tell_voices(context: AppContext, job: Job, voices: SpeakersWanted, *, json: bool) -> int:
    """Have the voices of a job's recording told apart, as `resume` does; returns the exit code."""
    # With them come jobs of every kind.
    from stenoflow.flows.cli.outcomes import run_works  # noqa: PLC0415
    from stenoflow.flows.outcome import exit_code  # noqa: PLC0415
    from stenoflow.flows.resume import works_to_resume  # noqa: PLC0415
    from stenoflow.tasks.artifacts.formats import STANDARD  # noqa: PLC0415
    from stenoflow.tasks.calls.provider import calls_at_once  # noqa: PLC0415

    works = works_to_resume(context, job, STANDARD, speakers=voices)
    return exit_code(run_works(context, works, calls_at_once(context.settings, None), json=json))


def _without_subtitles(job: Job) -> SettingsError:
    if job.kind == JobKind.SPEAK:
        return SettingsError(f"job {job.id} speaks a text: it has no subtitles and no page")
    return SettingsError(
        f"job {job.id} has no subtitles and no page", f"its transcript: {job.settings['of']}"
    )


def _charges_and_artifacts(context: AppContext, job: Job) -> dict[str, Any]:
    from stenoflow.tasks.artifacts import manifest  # noqa: PLC0415 - as above

    return {
        "charges": [manifest.charge_entry(charge) for charge in context.reports.charges(job.id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in context.catalog.artifacts(job.id)
        },
    }


def _print_facts(line: JobLine, details: Mapping[str, Any], view: JobView) -> None:
    """Print what stands at the head: what it is, when it was done, and what it cost."""
    job = line.job
    ended = job.finished_at
    facts = {
        "job": job.id,
        "kind": "" if job.kind == JobKind.TRANSCRIBE else job.kind,
        "name": line.recording.name,
        "recording": "" if job.kind == JobKind.SPEAK else line.recording.id,
        **{name: details[name] or "" for name in view.facts},
        "state": job.state,
        "error": (details["error"] or {}).get("message", ""),
        "begun": _moment(job.created_at),
        "ended": "" if ended is None else f"{_moment(ended)}, after {_span(job.created_at, ended)}",
        "length": clock(round(details["duration"] * 1000)) if details["duration"] else "",
        "model": details["model"],
        "tag": job.tag or "",
        "cost": cost_text(line.spending, line.currency),
    }
    for name, text in facts.items():
        if text:
            fact(name, text)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _span(begun: datetime, ended: datetime) -> str:
    return clock(round((ended - begun).total_seconds() * 1000))


def _print_charges(charges: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
    """Print the sums of the ledger's entries by kind and who was asked, or each of them."""
    if whole and charges:
        rows = [
            (each["kind"], each["provider"], each["model"], _quantity(each), each["amount"], each["currency"])
            for each in charges
        ]
        print_rows(("charge", "provider", "model", "for", "amount", "currency"), rows)
        return
    is_alone = len({each["provider"] for each in charges}) == 1
    sums: dict[tuple[str, str, str], list[Decimal | None]] = {}
    for each in charges:
        if each["kind"] in _SETTLED:
            amount = None if each["amount"] is None else Decimal(each["amount"])
            who = each["model"] if is_alone else f"{each['model']} at {each['provider']}"
            sums.setdefault((each["kind"], who, each["currency"]), []).append(amount)
    for (kind, who, currency), amounts in sums.items():
        known = show_money(to_micro(sum((amount for amount in amounts if amount is not None), Decimal(0))))
        unknown = f", {amounts.count(None)} of unknown price" if None in amounts else ""
        fact("charges", f"{count(len(amounts), f'{kind} charge')} by {who}: {known} {currency}{unknown}")


def _quantity(charge: Mapping[str, Any]) -> str:
    """Write what a charge is for; a release takes back what was reserved."""
    quantity, unit = charge["quantity"], charge["unit"]
    if quantity is None:
        return ""
    return f"{quantity / 1000:,.1f} s" if unit == Unit.MS else count(quantity, unit)


_SETTLED = {ChargeKind.ACTUAL, ChargeKind.POSSIBLE, ChargeKind.RECONCILE}
_LINT_ROWS = 50


def _print_lint(document: Document, *, json: bool) -> None:
    """Print how often each rule of the subtitles is broken, and where."""
    from stenoflow.tasks.transcript.cue_rules import breaches  # noqa: PLC0415 - for this

    found = list(breaches(document.cues, document.rules))
    if json:
        where = [{"rule": rule, "start": seconds(cue.start_ms), "lines": cue.lines} for rule, cue in found]
        counts = {"profile": document.rules.name, "cues": len(document.cues), "breaches": document.breaches}
        json_line({**counts, "where": where})
        return
    counted = ", ".join(f"{count} {rule}" for rule, count in document.breaches.items()) or "no breach"
    result(f"{len(document.cues)} cues by the rules of {document.rules.name}: {counted}")
    rows = [
        (clock(cue.start_ms), rule, f"{cue.duration_ms / 1000:.2f}", " / ".join(cue.lines))
        for rule, cue in found[:_LINT_ROWS]
    ]
    if rows:
        print_rows(("at", "rule", "seconds", "cue"), rows)
    if len(found) > _LINT_ROWS:
        result(f"and {len(found) - _LINT_ROWS} more: --json has all")


_LARGE_PAGE_BYTES = 50_000_000
"""More than most mail takes, and some phones open."""


def _write_page(context: AppContext, job: Job, out: Path, *, embed: bool, json: bool) -> None:
    # ffmpeg, numpy and templates, for this alone.
    from stenoflow.tasks.media.encode import BYTES_A_SECOND  # noqa: PLC0415
    from stenoflow.tasks.operations.export_page import write_page  # noqa: PLC0415

    duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
    expected = duration_ms // 1_000 * BYTES_A_SECOND * 4 // 3
    if embed and expected > _LARGE_PAGE_BYTES:
        say(f"the page will have about {_megabytes(expected)}: too much for most mail, and slow on phones")
    page = write_page(context, job, out, embed=embed)
    size = page.stat().st_size
    if page != out:
        say(f"{out} is no page of this recording's, or was changed: the page is {page.name}")
    if json:
        line = {"job": job.id, "page": str(page.absolute()), "bytes": size, "embedded": embed}
        json_line(line)
    else:
        result(f"{page}: {_megabytes(size)}{', the recording in it' if embed else ''}")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
