"""`stenoflow show --lint`: where the subtitles do not keep their rules."""

from __future__ import annotations

import json as json_module

from flows.cli.console import add_plain, plain_table, print_table, result
from tasks.artifacts.document import Document
from tasks.speech.cue_rules import breaches
from tasks.speech.timecode import clock, seconds

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
