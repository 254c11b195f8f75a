"""Render `manifest.json` of any job: its artifacts, and the segments and charges that they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stenoflow.storage.database.cache_keys import translation_key, translator_of
from stenoflow.storage.database.states import Activity, JobKind
from stenoflow.storage.database.tables import Artifact, Charge, Job, Recording, Segment
from stenoflow.tasks.artifacts.document import Document, SpeakerInfo
from stenoflow.tasks.billing.amounts import from_micro
from stenoflow.tasks.transcript.coverage import Integrity
from stenoflow.tasks.transcript.timecode import samples_to_ms, seconds
from stenoflow.tasks.transcript.types import OtherLanguage, Seam

SCHEMA = "stenoflow.manifest/1"
SPEECH_SCHEMA = "stenoflow.speech/1"


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What a manifest says of one kind of job, beside what it says of every job.

    Attributes:
        segments: the job's segments, described.
        duration_ms: length of the recording, or of what was spoken.
        before_artifacts: what stands between the job and its artifacts.
        after_segments: what stands between the segments and the charges.
    """

    segments: Sequence[Mapping[str, Any]]
    duration_ms: int
    before_artifacts: Mapping[str, Any] = field(default_factory=dict)
    after_segments: Mapping[str, Any] = field(default_factory=dict)


def render(
    job: Job,
    recording: Recording,
    artifacts: Sequence[Artifact],
    charges: Sequence[Charge],
    details: JobDetails,
) -> bytes:
    """Render the manifest as JSON; the order of its keys is part of the format."""
    speaks = job.kind == JobKind.SPEAK
    kind = {"kind": job.kind} if job.kind in {JobKind.MINUTES, JobKind.REPLY} else {}
    manifest = {
        "schema": SPEECH_SCHEMA if speaks else SCHEMA,
        "recording": {
            "id": recording.id,
            "name": recording.name,
            # A text has no address, and its speech has a duration that is not the recording's.
            **({} if speaks else {"source": recording.source}),
            "sha256": recording.sha256,
            **({} if speaks else {"duration": seconds(details.duration_ms)}),
        },
        "job": {"id": job.id, **kind, "settings": job.settings, "tag": job.tag},
        **details.before_artifacts,
        "artifacts": [{"name": each.name, "sha256": each.sha256, "bytes": each.bytes} for each in artifacts],
        "segments": details.segments,
        **details.after_segments,
        "charges": [charge_entry(charge) for charge in charges],
    }
    return (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode()


def transcription_details(
    job: Job,
    segments: Sequence[Segment],
    document: Document,
    suspects: Mapping[str, str],
    translation: Document | None = None,
    *,
    answered_by: Mapping[str, tuple[str, str]] | None = None,
) -> JobDetails:
    """Describe a transcription.

    Args:
        job: of kind ``transcribe``.
        segments: the segments of the job.
        document: the transcript as it is published.
        suspects: reasons by cache key of the answers that are suspect.
        translation: the same of the translation; None where there is none.
        answered_by: provider and model by cache key, where several were asked.
    """
    transcript = document.transcript
    return JobDetails(
        duration_ms=transcript.duration_ms,
        before_artifacts={"language": transcript.language},
        segments=[
            _transcribed_segment(each, job.origin_ms)
            | quality_entries(each, suspects, job, transcript.other_languages)
            | _answered_by(each, answered_by or {})
            for each in segments
        ],
        after_segments={
            "coverage": [
                {"start": seconds(each.start_ms), "end": seconds(each.end_ms), "kind": each.kind.value}
                for each in transcript.coverage
            ],
            **_speakers(document.speaking),
            "seams": [seam_entry(seam) for seam in transcript.seams],
            "subtitles": _subtitles(document),
            "translation": translation and _translation(translation),
            **integrity_entries(job),
        },
    )


def _answered_by(segment: Segment, answered_by: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Name who answered a segment; nothing where one provider alone was asked."""
    found = answered_by.get(segment.cache_key)
    return {} if found is None else {"provider": found[0], "model": found[1]}


def chat_details(segments: Sequence[Segment], duration_ms: int) -> JobDetails:
    """Describe a job that asks a chat model: minutes, or a reply."""
    return JobDetails([segment_entry(each) for each in segments], duration_ms)


def speech_details(segments: Sequence[Segment], duration_ms: int) -> JobDetails:
    """Describe a text that was spoken; its segments are pieces of the text, in characters."""
    pieces = [
        {"index": each.index, "start": each.start_sample, "end": each.end_sample, "state": each.state}
        for each in segments
    ]
    return JobDetails(pieces, duration_ms, {"duration": seconds(duration_ms)})


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


def _transcribed_segment(segment: Segment, origin_ms: int) -> dict[str, Any]:
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


def segment_entry(segment: Segment) -> dict[str, Any]:
    """Describe a segment: in seconds of the recording, or in characters of the text that is spoken."""
    is_text = segment.activity == Activity.SPEECH
    start, end = (
        position if is_text else seconds(samples_to_ms(position))
        for position in (segment.start_sample, segment.end_sample)
    )
    return {
        "index": segment.index,
        "activity": segment.activity,
        "start": start,
        "end": end,
        "state": segment.state,
        "error": segment.error_message,
    }


def quality_entries(
    segment: Segment, suspects: Mapping[str, str], job: Job, other_languages: Sequence[OtherLanguage]
) -> dict[str, Any]:
    """Describe what is doubtful about a segment's answers: reasons by cache key, and another language."""
    translated = translation_key(segment.cache_key, translator_of(job.settings))
    languages = (each.language for each in other_languages if each.segment == segment.index)
    return {
        "suspect": suspects.get(segment.cache_key),
        "translation_suspect": suspects.get(translated),
        "other_language": next(languages, None),
    }


def integrity_entries(job: Job) -> dict[str, Any]:
    """Describe what is wrong with the recording itself: damage, and the share of clipped samples."""
    integrity = Integrity.from_stored(job.lost_ms, job.damage)
    return {"damaged": integrity.to_json(), "clipped": integrity.clipped or None}


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
