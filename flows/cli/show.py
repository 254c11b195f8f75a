"""`stenoflow show JOB`: one job whole, of any kind; its page, and the rules that its subtitles break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from stenoflow.flows.cli import options
from stenoflow.flows.cli.console import fact, json_line, print_rows, result, say
from stenoflow.flows.cli.jobs import find_job, summary
from stenoflow.storage.database.cache_keys import with_translations
from stenoflow.storage.database.states import Activity, JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.artifacts import manifest
from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.assembly.assemble import diarize
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.jobs.transcribe.publish import document_of
from stenoflow.tasks.jobs.transcribe.publish import rename as rename_speakers
from stenoflow.tasks.media.encode import BYTES_A_SECOND
from stenoflow.tasks.operations.export_page import write_page
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.transcript.cue_rules import breaches
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds


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
        kind = JobKind(line.job.kind)
        if kind != JobKind.TRANSCRIBE and (lint or rename or page is not None):
            raise _without_subtitles(line.job)
        if rename:
            rename_speakers(context, line.job.id, options.names_of(rename))
            line = find_job(context, line.job.id)
        if page is not None:
            _write_page(context, line.job, page, embed=embed, json=json)
            return
        if lint:
            _print_lint(document_of(context, line.job, context.catalog.segments(line.job.id)), json=json)
            return
        view, described = _VIEWS[kind], summary(line)
        described |= view.describe(context, line.job) | _charges_and_artifacts(context, line.job)
    if json:
        json_line(described)
    else:
        _print(described, view)


def _without_subtitles(job: Job) -> SettingsError:
    if job.kind == JobKind.SPEAK:
        return SettingsError(f"job {job.id} speaks a text: it has no subtitles and no page")
    return SettingsError(
        f"job {job.id} has no subtitles and no page", f"its transcript: {job.settings['of']}"
    )


def _charges_and_artifacts(context: AppContext, job: Job) -> dict[str, Any]:
    return {
        "charges": [manifest.charge_entry(charge) for charge in context.reports.charges(job.id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in context.catalog.artifacts(job.id)
        },
    }


def _requests(context: AppContext, job: Job) -> Counter[int]:
    return Counter(attempt.segment_index for attempt in context.reports.attempts(job.id))


def _describe_transcription(context: AppContext, job: Job) -> dict[str, Any]:
    segments, requests = context.catalog.segments(job.id), _requests(context, job)
    cache_keys = (segment.cache_key for segment in segments)
    suspects = context.ledger.suspects(with_translations(cache_keys, job.settings.get("translator")))
    diarized, names = diarize(context, job, segments), job.speakers or {}
    transcript = diarized.transcript
    return {
        "settings": job.settings,
        "language": job.settings.get("language") or job.language or transcript.language,
        "segments": [
            {
                "index": each.index,
                "channel": each.channel,
                "start": seconds(job.origin_ms + samples_to_ms(each.start_sample)),
                "end": seconds(job.origin_ms + samples_to_ms(each.end_sample)),
                "state": each.state,
                "cut": "forced" if each.forced else "silent",
                "sent": seconds(Excerpt(each.spans).duration_ms),
                "gain_db": each.gain_db,
                "attempts": requests[each.index],
                "error": each.error_message,
                **manifest.quality_entries(each, suspects, job, transcript.other_languages),
            }
            for each in segments
        ],
        "seams": [manifest.seam_entry(seam) for seam in transcript.seams],
        "speakers": {label: names.get(label, label) for label in diarized.speakers},
        **manifest.integrity_entries(job),
    }


def _describe_texts(context: AppContext, job: Job) -> dict[str, Any]:
    """Describe a job whose segments are questions to a chat model, or pieces of a text that is spoken."""
    own = "voice" if job.kind == JobKind.SPEAK else "of"
    segments, requests = context.catalog.segments(job.id), _requests(context, job)
    suspects = context.ledger.suspects(each.cache_key for each in segments) if own == "of" else {}
    entries = []
    for each in segments:
        entry = manifest.segment_entry(each)
        entry |= {"attempts": requests[each.index], "error": entry.pop("error")}
        entries.append(entry | ({"suspect": suspects.get(each.cache_key)} if own == "of" else {}))
    return {own: job.settings[own], "settings": job.settings, "segments": entries}


def _print(details: dict[str, Any], view: _View) -> None:
    for name in view.facts:
        fact(name, str(details[name] if details[name] is not None else "-"))
    if details["error"]:
        fact("error", details["error"]["message"])
    view.print_segments(details)
    for name, artifact in details["artifacts"].items():
        result(f"{name:16} {artifact['uri']}")


def _print_transcription(details: dict[str, Any]) -> None:
    if details["damaged"]:
        fact("damaged", details["damaged"]["reason"])
    if details["clipped"]:
        fact("clipped", f"{details['clipped']:.1%} of the samples of speech")
    for label, name in details["speakers"].items():
        fact("speaker", label if label == name else f"{label}: {name}")
    channel = ["channel"] if any(each["channel"] is not None for each in details["segments"]) else []
    print_rows(
        ("segment", *channel, "from", "to", "sent", "state", "cut", "requests", "remark"),
        (
            (
                each["index"],
                *([each["channel"] + 1] if channel else []),
                _precise(each["start"]),
                _precise(each["end"]),
                f"{each['sent']:.1f} s",
                each["state"],
                each["cut"],
                each["attempts"],
                each["error"] or ", ".join(_remarks(each)),
            )
            for each in details["segments"]
        ),
    )
    seams = [
        (_precise(each["at"]), each["kind"], each["joined_by"], " ".join(each["dropped"]))
        for each in details["seams"]
    ]
    if seams:
        print_rows(("seam at", "kind", "joined by", "left out, as heard twice or in part"), seams)


def _remarks(segment: Mapping[str, Any]) -> Iterator[str]:
    if segment["suspect"]:
        yield f"suspect: {segment['suspect']}"
    if segment["translation_suspect"]:
        yield f"suspect translation: {segment['translation_suspect']}"
    if segment["other_language"]:
        yield f"heard as {segment['other_language']}"
    if segment["gain_db"]:
        yield f"sent {segment['gain_db']} dB louder"


def _precise(seconds_: float) -> str:
    milliseconds = round(seconds_ * 1000)
    return f"{clock(milliseconds)}.{milliseconds % 1000:03d}"


def _print_questions(details: dict[str, Any]) -> None:
    rows = []
    for each in details["segments"]:
        is_text, edges = each["activity"] == Activity.SPEECH, (each["start"], each["end"])
        where = [f"character {edge}" if is_text else clock(round(edge * 1000)) for edge in edges]
        remark = each["error"] or each["suspect"]
        rows.append((each["index"], each["activity"], *where, each["state"], each["attempts"], remark))
    print_rows(("question", "activity", "from", "to", "state", "requests", "remark"), rows)


def _print_pieces(details: dict[str, Any]) -> None:
    rows = []
    for each in details["segments"]:
        start, end = each["start"], each["end"]
        rows.append((each["index"], start, end, end - start, each["state"], each["attempts"], each["error"]))
    print_rows(("piece", "from", "to", "characters", "state", "requests", "remark"), rows)


@dataclass(frozen=True, slots=True)
class _View:
    """How one kind of job is shown: the facts printed of it, its details, and the table of its segments."""

    facts: tuple[str, ...]
    describe: Callable[[AppContext, Job], dict[str, Any]]
    print_segments: Callable[[dict[str, Any]], None]


_MONEY = ("tag", "cost", "possible_cost")
_CHAT = _View(("job", "kind", "of", "name", "state", "model", *_MONEY), _describe_texts, _print_questions)
_VIEWS = {
    JobKind.TRANSCRIBE: _View(
        ("job", "name", "source", "state", "duration", "model", "language", *_MONEY),
        _describe_transcription,
        _print_transcription,
    ),
    JobKind.SPEAK: _View(
        ("job", "kind", "name", "state", "duration", "model", "voice", *_MONEY),
        _describe_texts,
        _print_pieces,
    ),
    JobKind.MINUTES: _CHAT,
    JobKind.REPLY: _CHAT,
}
_LINT_ROWS = 50


def _print_lint(document: Document, *, json: bool) -> None:
    """Print how often each rule of the subtitles is broken, and where."""
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
    duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
    expected = duration_ms // 1_000 * BYTES_A_SECOND * 4 // 3
    if embed and expected > _LARGE_PAGE_BYTES:
        say(f"the page will have about {_megabytes(expected)}: too much for most mail, and slow on phones")
    size = write_page(context, job, out, embed=embed)
    if json:
        line = {"job": job.id, "page": str(out.absolute()), "bytes": size, "embedded": embed}
        json_line(line)
    else:
        result(f"{out}: {_megabytes(size)}{', the recording in it' if embed else ''}")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
