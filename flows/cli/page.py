"""`stenoflow show --page`: the page to listen and read as a file of its own."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from flows.cli.console import result, say
from storage.database.tables import Job
from tasks.media.opus import BYTES_A_SECOND
from tasks.page_file import write_page
from tasks.workshop import Workshop

_LARGE = 50_000_000
"""Bytes: more than most mail takes, and some phones open."""


def print_page(workshop: Workshop, job: Job, out: Path, *, embed: bool, json: bool) -> None:
    """Write a job's page to a file, and say where it is and how large."""
    duration_ms = workshop.catalog.recording(job.recording_id).duration_ms or 0
    expected = duration_ms // 1_000 * BYTES_A_SECOND * 4 // 3
    if embed and expected > _LARGE:
        say(f"the page will have about {_megabytes(expected)}: too much for most mail, and slow on phones")
    size = write_page(workshop, job, out, embed=embed)
    if json:
        told = {"job": job.id, "page": str(out.absolute()), "bytes": size, "embedded": embed}
        result(json_module.dumps(told, ensure_ascii=False))
    else:
        result(f"{out}: {_megabytes(size)}{', the recording in it' if embed else ''}")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
