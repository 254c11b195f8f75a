"""Publishing what was spoken: the sound as an artifact of its job, the manifest last."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.tasks.api.speech import CONTENT_TYPES
from stenoflow.tasks.artifacts.manifest import charge_entry
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.calls.speak import stored_audio
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.speak.plan import cut, text_of
from stenoflow.tasks.jobs.speak.run import SpeechResult, store_whole
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.transcript.timecode import ms_to_samples, samples_to_ms, seconds

SCHEMA = "stenoflow.speech/1"
MANIFEST = "manifest.json"


class UnspokenError(FailedError):
    """The sound of some piece is not stored any more."""

    kind = "unrepairable"


def publish(context: AppContext, spoken: SpeechResult) -> None:
    """Record the sound of a job of kind ``speak``, write its manifest, and say that it is complete."""
    catalog = context.catalog
    # The time that it takes, as other jobs keep how much they have heard.
    catalog.finish_plan(spoken.job_id, ms_to_samples(spoken.audio.ms), 0)
    sound = spoken.artifact(context)
    data = (json.dumps(_manifest(context, spoken), ensure_ascii=False, indent=1) + "\n").encode()
    key = f"{catalog.job(spoken.job_id).recording_id}/{spoken.job_id}/{MANIFEST}"
    context.store.put_bytes(key, data, content_type="application/json")
    manifest = Artifact(
        job_id=spoken.job_id,
        name=MANIFEST,
        key=key,
        uri=context.store.uri(key),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )
    catalog.record_artifacts(spoken.job_id, [sound, manifest], spoken.audio.ms)
    catalog.set_state(spoken.job_id, JobState.COMPLETE)


def published(context: AppContext, job: Job) -> SpeechResult | None:
    """Return what a job has spoken, if that is whole and in its place."""
    if job.state != JobState.COMPLETE:
        return None
    settings = SpeechSettings.from_dict(job.settings)
    sound = next((each for each in context.catalog.artifacts(job.id) if each.name != MANIFEST), None)
    if sound is None or not context.store.exists(sound.key):
        return None
    audio = StoredAudio(
        sound.key, sound.sha256, sound.bytes, CONTENT_TYPES[settings.format], duration_of(job)
    )
    return SpeechResult(job.id, audio, sound.name, len(context.catalog.segments(job.id)))


def rebuild(context: AppContext, job: Job) -> None:
    """Join a job's sound anew from its stored pieces, and publish it again; calls nobody.

    Raises:
        UnspokenError: the sound of some piece is gone.
    """
    settings = SpeechSettings.from_dict(job.settings)
    script = cut(context, job.id, text_of(context, job), settings)
    pieces = [stored_audio(context, cache_key) for cache_key in script.cache_keys]
    there = [piece for piece in pieces if piece is not None]
    if len(there) < len(pieces):
        raise UnspokenError(
            f"the sound of {len(pieces) - len(there)} of the pieces of job {job.id} is not stored",
            f"stenoflow resume {job.id} buys it again",
        )
    audio = store_whole(context, job.id, script, there)
    publish(context, SpeechResult(job.id, audio, f"speech.{settings.format}", len(there)))


def duration_of(job: Job) -> int:
    """Return how long what a job has spoken is, in ms; 0 where it has spoken nothing yet."""
    return samples_to_ms(job.samples or 0)


def _manifest(context: AppContext, spoken: SpeechResult) -> dict[str, Any]:
    job = context.catalog.job(spoken.job_id)
    recording = context.catalog.recording(job.recording_id)
    segments = context.catalog.segments(job.id)
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
        "charges": [charge_entry(charge) for charge in context.reports.charges(job.id)],
    }
