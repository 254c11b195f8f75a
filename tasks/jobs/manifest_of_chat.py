"""The manifest of a job that asks a chat model: what there is, whole, and what it was made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Artifact, Job, Segment
from stenoflow.tasks.artifacts.manifest import SCHEMA, charge_entry
from stenoflow.tasks.artifacts.publisher import MANIFEST, artifact_key, artifact_of
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.timecode import samples_to_ms, seconds


def store_manifest(context: AppContext, job: Job, artifacts: Sequence[Artifact], duration_ms: int) -> None:
    """Store the manifest of a job that asked a chat model, and record what it has published.

    Args:
        context: the tools.
        job: whose artifacts they are.
        artifacts: all that are stored.
        duration_ms: of its recording.
    """
    recording = context.catalog.recording(job.recording_id)
    whole = {
        "schema": SCHEMA,
        "recording": {
            "id": recording.id,
            "name": recording.name,
            "source": recording.source,
            "sha256": recording.sha256,
            "duration": seconds(duration_ms),
        },
        "job": {"id": job.id, "kind": job.kind, "settings": job.settings, "tag": job.tag},
        "artifacts": [{"name": each.name, "sha256": each.sha256, "bytes": each.bytes} for each in artifacts],
        "segments": [_segment(segment) for segment in context.catalog.segments(job.id)],
        "charges": [charge_entry(charge) for charge in context.reports.charges(job.id)],
    }
    data = (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode()
    key = artifact_key(job, MANIFEST)
    context.store.put_bytes(key, data, content_type="application/json")
    recorded = [*artifacts, artifact_of(context, job, MANIFEST, key, data)]
    context.catalog.record_artifacts(job.id, recorded, duration_ms)


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "index": segment.index,
        "activity": segment.activity,
        "start": _edge(segment, segment.start_sample),
        "end": _edge(segment, segment.end_sample),
        "state": segment.state,
        "error": segment.error_message,
    }


def _edge(segment: Segment, place: int) -> float:
    """Return a place in seconds of the recording; of a text that is spoken, in characters."""
    return place if segment.activity == Activity.SPEECH else seconds(samples_to_ms(place))
