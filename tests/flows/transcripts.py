"""Transcriptions that are there already, of which every word is known; nothing is decoded."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.ledger import Request
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.tasks.assembly.job_settings import JobSettings, job_id, recording_id
from stenoflow.tasks.context import AppContext, open_context
from stenoflow.tasks.jobs.transcribe.publish import publish
from stenoflow.tasks.settings import load_settings

LINE_MS = 4_000
_SETTINGS = JobSettings("openai", "whisper-1", "verbose_json", 600_000, 60_000)


def transcribed(lines: Sequence[str], name: str = "board.mp3", *, state: JobState | None = None) -> str:
    """Make a transcription of these lines, four seconds each; its job.

    Args:
        lines: what was said.
        name: of the recording.
        state: that the job is put into, in place of being published.
    """
    with open_context(load_settings()) as context:
        job = _job(context, name, "\n".join(lines))
        context.catalog.claim(job.id)
        samples = max(1, len(lines)) * LINE_MS * 16
        cut = SegmentPlan(0, 0, samples, forced=False, speech=((0, len(lines) * LINE_MS),) if lines else ())
        key = _SETTINGS.cache_key(job.id, cut.spans)
        context.catalog.add_segment(job.id, cut, key)
        if lines:
            bill = Bill(1, "ms", None, 0, "USD")
            asked = Request(job.id, 0, key, context.run_id, "openai", "whisper-1", bill)
            context.ledger.succeed(context.ledger.begin(asked), _answer(lines), bill)
        context.catalog.finish_plan(job.id, samples, 0)
        if state is None:
            publish(context, job.id)
        else:
            context.catalog.set_state(job.id, state)
        return job.id


def _job(context: AppContext, name: str, text: str) -> Job:
    source = f"file:///recordings/{name}"
    recording = context.catalog.add_recording(
        Recording(
            id=recording_id(source, text),
            source=source,
            name=name,
            version=None,
            sha256=f"{abs(hash(text)):064x}"[:64],
            bytes=1,
            duration_ms=1,
        )
    )
    return context.catalog.open_job(
        Job(
            id=job_id(recording.id, _SETTINGS),
            recording_id=recording.id,
            settings_hash=_SETTINGS.settings_hash,
            settings=_SETTINGS.to_dict(),
            plan_hash=_SETTINGS.plan_hash,
            tag="board",
        )
    )


def _answer(lines: Sequence[str]) -> str:
    segments = []
    words = []
    for number, line in enumerate(lines):
        start = number * LINE_MS / 1000
        spoken = line.split()
        each = LINE_MS / 1000 / max(1, len(spoken)) * 0.9
        segments.append({"id": number, "start": start, "end": start + 3.6, "text": line})
        words += [
            {"word": word, "start": start + n * each, "end": start + (n + 1) * each}
            for n, word in enumerate(spoken)
        ]
    text = " ".join(lines)
    return json.dumps({"text": text, "language": "english", "segments": segments, "words": words})
