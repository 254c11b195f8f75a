"""Publishing what was spoken: the sound as an artifact of its job, the manifest last."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from storage.database.states import JobState
from storage.database.tables import Artifact, Job
from tasks.artifacts.manifest import charge_entry
from tasks.audio_api.speech import CONTENT_TYPES
from tasks.errors import FailedError
from tasks.speaking.job import cut, text_of
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.speaker import stored_audio
from tasks.speaking.speaking import Spoken, store_whole
from tasks.speaking.stored import StoredAudio
from tasks.speech.timecode import ms_to_samples, samples_to_ms, seconds
from tasks.workshop import Workshop

SCHEMA = "stenoflow.speech/1"
MANIFEST = "manifest.json"


class UnspokenError(FailedError):
    """The sound of some piece is not stored any more."""

    kind = "unrepairable"


def publish(workshop: Workshop, spoken: Spoken) -> None:
    """Record the sound of a job of kind ``speak``, write its manifest, and say that it is complete."""
    catalog = workshop.catalog
    # The time that it takes, as other jobs keep how much they have heard.
    catalog.finish_plan(spoken.job_id, ms_to_samples(spoken.audio.ms), 0)
    sound = spoken.artifact(workshop)
    data = (json.dumps(_manifest(workshop, spoken), ensure_ascii=False, indent=1) + "\n").encode()
    key = f"{catalog.job(spoken.job_id).recording_id}/{spoken.job_id}/{MANIFEST}"
    workshop.store.put_bytes(key, data, content_type="application/json")
    manifest = Artifact(
        job_id=spoken.job_id,
        name=MANIFEST,
        key=key,
        uri=workshop.store.uri(key),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )
    catalog.record_artifacts(spoken.job_id, [sound, manifest], spoken.audio.ms)
    catalog.set_state(spoken.job_id, JobState.COMPLETE)


def published(workshop: Workshop, job: Job) -> Spoken | None:
    """Return what a job has spoken, if that is whole and in its place."""
    if job.state != JobState.COMPLETE:
        return None
    settings = SpeechSettings.from_dict(job.settings)
    sound = next((each for each in workshop.catalog.artifacts(job.id) if each.name != MANIFEST), None)
    if sound is None or not workshop.store.exists(sound.key):
        return None
    audio = StoredAudio(
        sound.key, sound.sha256, sound.bytes, CONTENT_TYPES[settings.format], duration_of(job)
    )
    return Spoken(job.id, audio, sound.name, len(workshop.catalog.segments(job.id)))


def rebuild(workshop: Workshop, job: Job) -> None:
    """Join a job's sound anew from its stored pieces, and publish it again; calls nobody.

    Raises:
        UnspokenError: the sound of some piece is gone.
    """
    settings = SpeechSettings.from_dict(job.settings)
    script = cut(workshop, job.id, text_of(workshop, job), settings)
    pieces = [stored_audio(workshop, work_key) for work_key in script.work_keys]
    there = [piece for piece in pieces if piece is not None]
    if len(there) < len(pieces):
        raise UnspokenError(
            f"the sound of {len(pieces) - len(there)} of the pieces of job {job.id} is not stored",
            f"stenoflow resume {job.id} buys it again",
        )
    audio = store_whole(workshop, job.id, script, there)
    publish(workshop, Spoken(job.id, audio, f"speech.{settings.format}", len(there)))


def duration_of(job: Job) -> int:
    """Return how long what a job has spoken is, in ms; 0 where it has spoken nothing yet."""
    return samples_to_ms(job.samples or 0)


def _manifest(workshop: Workshop, spoken: Spoken) -> dict[str, Any]:
    job = workshop.catalog.job(spoken.job_id)
    recording = workshop.catalog.recording(job.recording_id)
    segments = workshop.catalog.segments(job.id)
    return {
        "schema": SCHEMA,
        "recording": {"id": recording.id, "name": recording.name, "sha256": recording.sha256},
        "job": {"id": job.id, "settings": job.settings, "tag": job.tag},
        "duration": seconds(spoken.audio.ms),
        "artifacts": [{"name": spoken.name, "sha256": spoken.audio.sha256, "bytes": spoken.audio.bytes}],
        "segments": [
            {"index": each.index, "start": each.start_sample, "end": each.end_sample, "state": each.state}
            for each in segments
        ],
        "charges": [charge_entry(charge) for charge in workshop.reports.charges(job.id)],
    }
