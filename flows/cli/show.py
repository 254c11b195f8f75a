"""Show one job, of any kind."""

from __future__ import annotations

import json as json_module
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stenoflow.flows.cli.console import add_plain, plain_table, print_table, result, results, say
from stenoflow.storage.database.reports import JobLine
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Job, Segment
from stenoflow.tasks.artifacts.document import Document
from stenoflow.tasks.artifacts.manifest import charge_entry
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.media.encode import BYTES_A_SECOND
from stenoflow.tasks.operations.export_page import write_page
from stenoflow.tasks.transcript.cue_rules import breaches
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds

_SHOWN = ("job", "kind", "of", "name", "state", "model", "tag", "cost", "possible_cost")


def show_chat(context: AppContext, line: JobLine, summary: dict[str, Any], *, lint: bool, json: bool) -> None:
    """Print all of a job that asks a chat model. Raises SettingsError where subtitles are asked for."""
    if lint:
        raise SettingsError(
            f"job {line.job.id} has no subtitles and no page", f"its transcript: {line.job.settings['of']}"
        )
    document = summary | _whole(context, line)
    if json:
        result(json_module.dumps(document, ensure_ascii=False))
        return
    print_facts(document, _SHOWN)
    table = plain_table("question", "activity", "from", "to", "state", "requests", "remark")
    for each in document["segments"]:
        cells = (each["index"], each["activity"], *_place(each), each["state"], each["attempts"])
        add_plain(table, *map(str, cells), each["error"] or each["suspect"] or "")
    print_table(table)
    print_artifacts(document)


def _whole(context: AppContext, line: JobLine) -> dict[str, Any]:
    job_id = line.job.id
    requests = Counter(attempt.segment_index for attempt in context.reports.attempts(job_id))
    segments = context.catalog.segments(job_id)
    suspects = context.ledger.suspects(each.cache_key for each in segments)
    return {
        "of": line.job.settings["of"],
        "settings": line.job.settings,
        "segments": [
            _segment(each, requests[each.index]) | {"suspect": suspects.get(each.cache_key)}
            for each in segments
        ],
        "charges": [charge_entry(charge) for charge in context.reports.charges(job_id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in context.catalog.artifacts(job_id)
        },
    }


def _segment(segment: Segment, attempts: int) -> dict[str, Any]:
    """Describe a segment: in seconds of the recording, or in characters of the text that is spoken."""
    return {
        "index": segment.index,
        "activity": segment.activity,
        "start": _edge(segment, segment.start_sample),
        "end": _edge(segment, segment.end_sample),
        "state": segment.state,
        "attempts": attempts,
        "error": segment.error_message,
    }


def _edge(segment: Segment, place: int) -> float | int:
    return place if segment.activity == Activity.SPEECH else samples_to_ms(place) / 1000


def _place(each: dict[str, Any]) -> tuple[str, str]:
    if each["activity"] == Activity.SPEECH:
        return f"sign {each['start']}", f"sign {each['end']}"
    return clock(round(each["start"] * 1000)), clock(round(each["end"] * 1000))


_SHOWN_OF_SPEECH = (
    "job",
    "kind",
    "name",
    "state",
    "duration",
    "model",
    "voice",
    "tag",
    "cost",
    "possible_cost",
)


def show_speech(
    context: AppContext, line: JobLine, summary: dict[str, Any], *, lint: bool, json: bool
) -> None:
    """Print all of a job that speaks. Raises SettingsError where subtitles are asked for."""
    if lint:
        raise SettingsError(f"job {line.job.id} speaks a text: it has no subtitles and no page")
    document = summary | _whole_speech(context, line)
    if json:
        result(json_module.dumps(document, ensure_ascii=False))
        return
    print_facts(document, _SHOWN_OF_SPEECH)
    table = plain_table("piece", "from", "to", "characters", "state", "requests", "remark")
    for each in document["segments"]:
        characters = each["end"] - each["start"]
        cells = (each["index"], each["start"], each["end"], characters, each["state"], each["attempts"])
        add_plain(table, *map(str, cells), each["error"] or "")
    print_table(table)
    print_artifacts(document)


def _whole_speech(context: AppContext, line: JobLine) -> dict[str, Any]:
    job_id = line.job.id
    requests = Counter(attempt.segment_index for attempt in context.reports.attempts(job_id))
    return {
        "voice": line.job.settings["voice"],
        "settings": line.job.settings,
        "segments": [
            {
                "index": each.index,
                "activity": each.activity,
                "start": each.start_sample,
                "end": each.end_sample,
                "state": each.state,
                "attempts": requests[each.index],
                "error": each.error_message,
            }
            for each in context.catalog.segments(job_id)
        ],
        "charges": [charge_entry(charge) for charge in context.reports.charges(job_id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in context.catalog.artifacts(job_id)
        },
    }


def print_facts(document: dict[str, Any], names: Iterable[str]) -> None:
    """Print the facts of these names, and the error where there is one."""
    for name in names:
        print_fact(name, str(document[name] if document[name] is not None else "-"))
    if document["error"]:
        print_fact("error", document["error"]["message"])


def print_fact(name: str, text: str) -> None:
    """Print one fact; the text may hold anything."""
    results.print(f"[dim]{name:14}[/]", end="")
    results.print(text, markup=False)


def print_artifacts(document: dict[str, Any]) -> None:
    """Print the artifacts with their addresses."""
    for name, artifact in document["artifacts"].items():
        results.print(f"{name:16} {artifact['uri']}", markup=False)


_MOST_SHOWN = 50


def print_lint(document: Document, *, json: bool) -> None:
    """Print how often each rule is broken, and where."""
    found = list(breaches(document.cues, document.rules))
    if json:
        where = [{"rule": rule, "start": seconds(cue.start_ms), "lines": cue.lines} for rule, cue in found]
        counts = {"profile": document.rules.name, "cues": len(document.cues), "breaches": document.breaches}
        result(json_module.dumps({**counts, "where": where}, ensure_ascii=False))
        return
    counted = ", ".join(f"{count} {rule}" for rule, count in document.breaches.items()) or "no breach"
    result(f"{len(document.cues)} cues by the rules of {document.rules.name}: {counted}")
    if not found:
        return
    table = plain_table("at", "rule", "seconds", "cue")
    for rule, cue in found[:_MOST_SHOWN]:
        add_plain(table, clock(cue.start_ms), rule, f"{cue.duration_ms / 1000:.2f}", " / ".join(cue.lines))
    print_table(table)
    if len(found) > _MOST_SHOWN:
        result(f"and {len(found) - _MOST_SHOWN} more: --json has all")


_LARGE = 50_000_000
"""Bytes: more than most mail takes, and some phones open."""


def print_page(context: AppContext, job: Job, out: Path, *, embed: bool, json: bool) -> None:
    """Write a job's page to a file, and say where it is and how large."""
    duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
    expected = duration_ms // 1_000 * BYTES_A_SECOND * 4 // 3
    if embed and expected > _LARGE:
        say(f"the page will have about {_megabytes(expected)}: too much for most mail, and slow on phones")
    size = write_page(context, job, out, embed=embed)
    if json:
        told = {"job": job.id, "page": str(out.absolute()), "bytes": size, "embedded": embed}
        result(json_module.dumps(told, ensure_ascii=False))
    else:
        result(f"{out}: {_megabytes(size)}{', the recording in it' if embed else ''}")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
