"""`stenoflow show` of a job that asks a chat model: its questions, and the pieces that are read aloud."""

from __future__ import annotations

import json as json_module
from collections import Counter
from typing import Any

from flows.cli.console import add_plain, plain_table, print_table, result
from flows.cli.shown import print_artifacts, print_facts
from storage.database.reports import JobLine
from storage.database.states import Activity
from storage.database.tables import Segment
from tasks.artifacts.manifest import charge_entry
from tasks.errors import SettingsError
from tasks.speech.timecode import clock, samples_to_ms
from tasks.workshop import Workshop

_SHOWN = ("job", "kind", "of", "name", "state", "model", "tag", "cost", "possible_cost")


def show_chat(workshop: Workshop, line: JobLine, summary: dict[str, Any], *, lint: bool, json: bool) -> None:
    """Print all of a job that asks a chat model. Raises SettingsError where subtitles are asked for."""
    if lint:
        raise SettingsError(
            f"job {line.job.id} has no subtitles and no page", f"its transcript: {line.job.settings['of']}"
        )
    document = summary | _whole(workshop, line)
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


def _whole(workshop: Workshop, line: JobLine) -> dict[str, Any]:
    job_id = line.job.id
    requests = Counter(attempt.segment_index for attempt in workshop.reports.attempts(job_id))
    segments = workshop.catalog.segments(job_id)
    suspects = workshop.ledger.suspects(each.work_key for each in segments)
    return {
        "of": line.job.settings["of"],
        "settings": line.job.settings,
        "segments": [
            _segment(each, requests[each.index]) | {"suspect": suspects.get(each.work_key)}
            for each in segments
        ],
        "charges": [charge_entry(charge) for charge in workshop.reports.charges(job_id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in workshop.catalog.artifacts(job_id)
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
    return place if segment.activity == Activity.SPEAKING else samples_to_ms(place) / 1000


def _place(each: dict[str, Any]) -> tuple[str, str]:
    if each["activity"] == Activity.SPEAKING:
        return f"sign {each['start']}", f"sign {each['end']}"
    return clock(round(each["start"] * 1000)), clock(round(each["end"] * 1000))
