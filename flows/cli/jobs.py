"""`stenoflow jobs` and `stenoflow show`: what there is, and one job whole."""

from __future__ import annotations

import json as json_module
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import add_plain, plain_table, print_table
from stenoflow.flows.cli.console import result as print_result
from stenoflow.flows.cli.show import (
    print_artifacts,
    print_fact,
    print_facts,
    print_lint,
    print_page,
    show_chat,
    show_speech,
)
from stenoflow.storage.database.cache_keys import translation_key, with_translations
from stenoflow.storage.database.reports import JobLine, Spending
from stenoflow.storage.database.states import JobKind, JobState
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.artifacts.manifest import charge_entry, seam_entry
from stenoflow.tasks.assembly.assemble import diarize
from stenoflow.tasks.billing.amounts import show as show_money
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.speak.publish import duration_of
from stenoflow.tasks.jobs.transcribe.publish import document_of
from stenoflow.tasks.jobs.transcribe.publish import rename as rename_speakers
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.integrity import Integrity
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds

_SHOWN = (
    "job",
    "name",
    "source",
    "state",
    "duration",
    "model",
    "language",
    "tag",
    "cost",
    "possible_cost",
)
_SHOWN_OTHERWISE = {JobKind.SPEAK: show_speech, JobKind.MINUTES: show_chat, JobKind.REPLY: show_chat}


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
            print_result(json_module.dumps(summary(line), ensure_ascii=False))
        return
    table = plain_table("job", "kind", "recording", "state", "duration", "model", "cost", "tag", "reason")
    for line in lines:
        add_plain(
            table,
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
    print_table(table)


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
    json: options.Json = False,
) -> None:
    """Show one job whole: its segments, requests, charges and artifacts.

    Example: [bold]stenoflow show 3f9a2c --page talk.html --embed[/]
    """
    if embed and page is None:
        raise SettingsError("--embed is for --page FILE")
    with open_context(load_settings()) as context:
        line = find_job(context, job)
        other = _SHOWN_OTHERWISE.get(JobKind(line.job.kind))
        if other is not None:
            other(context, line, summary(line), lint=lint or page is not None or bool(rename), json=json)
            return
        if rename:
            rename_speakers(context, line.job.id, options.names_of(rename))
            line = find_job(context, line.job.id)
        if page is not None:
            print_page(context, line.job, page, embed=embed, json=json)
            return
        if lint:
            print_lint(document_of(context, line.job, context.catalog.segments(line.job.id)), json=json)
            return
        document = _whole(context, line)
    if json:
        print_result(json_module.dumps(document, ensure_ascii=False))
    else:
        _print(document)


def _print(document: dict[str, Any]) -> None:
    print_facts(document, _SHOWN)
    if document["damaged"]:
        print_fact("damaged", document["damaged"]["reason"])
    if document["clipped"]:
        print_fact("clipped", f"{document['clipped']:.1%} of the samples of speech")
    for label, name in document["speakers"].items():
        print_fact("speaker", label if label == name else f"{label}: {name}")
    _print_segments(document["segments"])
    _print_seams(document["seams"])
    print_artifacts(document)


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
    """Return how long a job's recording is; of a text, how long it took to say it."""
    return duration_of(line.job) if line.job.kind == JobKind.SPEAK else line.recording.duration_ms or 0


def _whole(context: AppContext, line: JobLine) -> dict[str, Any]:
    job_id = line.job.id
    segments = context.catalog.segments(job_id)
    requests = Counter(attempt.segment_index for attempt in context.reports.attempts(job_id))
    translator = line.job.settings.get("translator")
    suspects = context.ledger.suspects(
        with_translations((segment.cache_key for segment in segments), translator)
    )
    told, names = diarize(context, line.job, segments), line.job.speakers or {}
    others = {each.segment: each.language for each in told.transcript.other_languages}
    return summary(line) | {
        "settings": line.job.settings,
        "language": line.job.settings.get("language") or line.job.language or told.transcript.language,
        "segments": [
            _segment(segment, line.job.origin_ms, requests[segment.index])
            | {
                "suspect": suspects.get(segment.cache_key),
                "translation_suspect": suspects.get(translation_key(segment.cache_key, translator)),
                "other_language": others.get(segment.index),
            }
            for segment in segments
        ],
        "seams": [seam_entry(seam) for seam in told.transcript.seams],
        "speakers": {label: names.get(label, label) for label in told.speakers},
        "damaged": Integrity.from_stored(line.job.lost_ms, line.job.damage).to_json(),
        "clipped": Integrity.from_stored(line.job.lost_ms, line.job.damage).clipped or None,
        "charges": [charge_entry(charge) for charge in context.reports.charges(job_id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in context.catalog.artifacts(job_id)
        },
    }


def _segment(segment: Segment, origin_ms: int, attempts: int) -> dict[str, Any]:
    return {
        "index": segment.index,
        "channel": segment.channel,
        "start": seconds(origin_ms + samples_to_ms(segment.start_sample)),
        "end": seconds(origin_ms + samples_to_ms(segment.end_sample)),
        "state": segment.state,
        "cut": "forced" if segment.forced else "silent",
        "sent": seconds(Excerpt(segment.spans).duration_ms),
        "gain_db": segment.gain_db,
        "attempts": attempts,
        "error": segment.error_message,
    }


def _print_segments(segments: list[dict[str, Any]]) -> None:
    apart = any(each["channel"] is not None for each in segments)
    channel = ["channel"] if apart else []
    table = plain_table("segment", *channel, "from", "to", "sent", "state", "cut", "requests", "remark")
    for each in segments:
        add_plain(
            table,
            str(each["index"]),
            *([str(each["channel"] + 1)] if apart else []),
            _precise(each["start"]),
            _precise(each["end"]),
            f"{each['sent']:.1f} s",
            each["state"],
            each["cut"],
            str(each["attempts"]),
            each["error"] or ", ".join(_remarks(each)),
        )
    print_table(table)


def _remarks(segment: dict[str, Any]) -> Iterator[str]:
    if segment["suspect"]:
        yield f"suspect: {segment['suspect']}"
    if segment["translation_suspect"]:
        yield f"suspect translation: {segment['translation_suspect']}"
    if segment["other_language"]:
        yield f"heard as {segment['other_language']}"
    if segment["gain_db"]:
        yield f"sent {segment['gain_db']} dB louder"


def _print_seams(seams: list[dict[str, Any]]) -> None:
    """Print the audit of the seams: where two segments meet, and what was heard twice there."""
    if not seams:
        return
    table = plain_table("seam at", "kind", "joined by", "left out, as heard twice or in part")
    for each in seams:
        dropped = " ".join(each["dropped"])
        add_plain(table, _precise(each["at"]), each["kind"], each["joined_by"] or "", dropped)
    print_table(table)


def _precise(seconds_: float) -> str:
    milliseconds = round(seconds_ * 1000)
    return f"{clock(milliseconds)}.{milliseconds % 1000:03d}"


def _cost(spending: Spending) -> str:
    cost = "unknown" if spending.unpriced else show_money(spending.actual_micro)
    return f"{cost} (+{show_money(spending.possible_micro)}?)" if spending.possible_micro else cost
