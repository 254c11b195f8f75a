"""`stenoflow show` of a job that speaks: its pieces are of a text, and counted in characters."""

from __future__ import annotations

import json as json_module
from collections import Counter
from typing import Any

from flows.cli.console import add_plain, plain_table, print_table, result
from flows.cli.shown import print_artifacts, print_facts
from storage.database.reports import JobLine
from tasks.artifacts.manifest import charge_entry
from tasks.errors import SettingsError
from tasks.workshop import Workshop

_SHOWN = ("job", "kind", "name", "state", "duration", "model", "voice", "tag", "cost", "possible_cost")


def show_speech(
    workshop: Workshop, line: JobLine, summary: dict[str, Any], *, lint: bool, json: bool
) -> None:
    """Print all of a job that speaks. Raises SettingsError where subtitles are asked for."""
    if lint:
        raise SettingsError(f"job {line.job.id} speaks a text: it has no subtitles and no page")
    document = summary | _whole(workshop, line)
    if json:
        result(json_module.dumps(document, ensure_ascii=False))
        return
    print_facts(document, _SHOWN)
    table = plain_table("piece", "from", "to", "characters", "state", "requests", "remark")
    for each in document["segments"]:
        characters = each["end"] - each["start"]
        cells = (each["index"], each["start"], each["end"], characters, each["state"], each["attempts"])
        add_plain(table, *map(str, cells), each["error"] or "")
    print_table(table)
    print_artifacts(document)


def _whole(workshop: Workshop, line: JobLine) -> dict[str, Any]:
    job_id = line.job.id
    requests = Counter(attempt.segment_index for attempt in workshop.reports.attempts(job_id))
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
            for each in workshop.catalog.segments(job_id)
        ],
        "charges": [charge_entry(charge) for charge in workshop.reports.charges(job_id)],
        "artifacts": {
            artifact.name: {"uri": artifact.uri, "sha256": artifact.sha256, "bytes": artifact.bytes}
            for artifact in workshop.catalog.artifacts(job_id)
        },
    }
