"""`manifest.json`, written last: what there is, whole, and what it was made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stenoflow.storage.database.cache_keys import translation_key
from stenoflow.storage.database.tables import Artifact, Charge, Job, Recording, Segment
from stenoflow.tasks.artifacts.document import Document, SpeakerInfo
from stenoflow.tasks.billing.amounts import from_micro
from stenoflow.tasks.transcript.integrity import Integrity
from stenoflow.tasks.transcript.timecode import samples_to_ms, seconds
from stenoflow.tasks.transcript.types import Seam

SCHEMA = "stenoflow.manifest/1"


@dataclass(frozen=True, slots=True)
class Published:
    """Everything that a manifest accounts for; ``suspects`` says by cache key which answers not to trust."""

    recording: Recording
    job: Job
    artifacts: Sequence[Artifact]
    segments: Sequence[Segment]
    document: Document
    charges: Sequence[Charge]
    suspects: Mapping[str, str]
    translation: Document | None = None


def render(published: Published) -> str:
    """Render the manifest as JSON."""
    return json.dumps(_document(published), ensure_ascii=False, indent=1) + "\n"


def _document(published: Published) -> dict[str, Any]:
    recording, job = published.recording, published.job
    others = {each.segment: each.language for each in published.document.transcript.other_languages}
    return {
        "schema": SCHEMA,
        "recording": {
            "id": recording.id,
            "name": recording.name,
            "source": recording.source,
            "sha256": recording.sha256,
            "duration": seconds(published.document.transcript.duration_ms),
        },
        "job": {"id": job.id, "settings": job.settings, "tag": job.tag},
        "language": published.document.transcript.language,
        "artifacts": [
            {"name": each.name, "sha256": each.sha256, "bytes": each.bytes} for each in published.artifacts
        ],
        "segments": [
            _segment(segment, job.origin_ms)
            | {
                "suspect": published.suspects.get(segment.cache_key),
                "translation_suspect": published.suspects.get(
                    translation_key(segment.cache_key, job.settings.get("translator"))
                ),
                "other_language": others.get(segment.index),
            }
            for segment in published.segments
        ],
        "coverage": [
            {"start": seconds(each.start_ms), "end": seconds(each.end_ms), "kind": each.kind.value}
            for each in published.document.transcript.coverage
        ],
        **_speakers(published.document.speaking),
        "seams": [seam_entry(seam) for seam in published.document.transcript.seams],
        "subtitles": _subtitles(published.document),
        "translation": published.translation and _translation(published.translation),
        "damaged": Integrity.from_stored(job.lost_ms, job.damage).to_json(),
        "clipped": Integrity.from_stored(job.lost_ms, job.damage).clipped or None,
        "charges": [charge_entry(charge) for charge in published.charges],
    }


def _subtitles(document: Document) -> dict[str, Any]:
    return {
        "profile": document.rules.name,
        "cues": len(document.cues),
        "breaches": document.breaches,
    }


def _translation(document: Document) -> dict[str, Any]:
    transcript = document.transcript
    return {
        "language": transcript.language,
        "missing": [[seconds(each.start_ms), seconds(each.end_ms)] for each in transcript.missing],
        "subtitles": _subtitles(document),
    }


def _speakers(speaking: SpeakerInfo) -> dict[str, Any]:
    if speaking.by is None:
        return {}
    names = {label: speaking.names.get(label, label) for label in speaking.labels}
    return {"speakers": {"by": speaking.by, "names": names, "throughout": speaking.throughout}}


def _segment(segment: Segment, origin_ms: int) -> dict[str, Any]:
    return {
        "index": segment.index,
        **({} if segment.channel is None else {"channel": segment.channel}),
        "start": seconds(origin_ms + samples_to_ms(segment.start_sample)),
        "end": seconds(origin_ms + samples_to_ms(segment.end_sample)),
        "start_sample": segment.start_sample,
        "end_sample": segment.end_sample,
        "forced_cut": segment.forced,
        "sent_samples": sum(end - first for first, end in segment.spans),
        **({"gain_db": segment.gain_db} if segment.gain_db else {}),
        "state": segment.state,
        "error": segment.error_message,
    }


def seam_entry(seam: Seam) -> dict[str, Any]:
    """Describe where two segments meet; times in seconds on the recording's own timeline."""
    overlap = seam.overlap and [seconds(seam.overlap.start_ms), seconds(seam.overlap.end_ms)]
    return {
        "at": seconds(seam.at_ms),
        "kind": "silent" if seam.overlap is None else "overlapped",
        "overlap": overlap,
        "joined_by": None if seam.overlap is None else "words" if seam.agreed else "times",
        "dropped": list(seam.dropped),
    }


def charge_entry(charge: Charge) -> dict[str, Any]:
    """Describe a charge for JSON; the amount as a decimal string, None where the price is unknown."""
    return {
        "kind": charge.kind,
        "attempt": charge.attempt_id,
        "provider": charge.provider,
        "model": charge.model,
        "quantity": charge.quantity,
        "unit": charge.unit,
        "price": charge.price,
        "amount": None if charge.amount_micro is None else f"{from_micro(charge.amount_micro):.6f}",
        "currency": charge.currency,
    }
