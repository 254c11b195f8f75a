"""Publish a text that was spoken: its sound is an artifact of the job."""

from __future__ import annotations

from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.speech import CONTENT_TYPES
from stenoflow.tasks.artifacts.manifest import speech_details
from stenoflow.tasks.artifacts.publisher import MANIFEST, publish_files
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.calls.speak import stored_audio
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.speak.plan import cut, text_of
from stenoflow.tasks.jobs.speak.run import SpeechResult, store_whole
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.transcript.timecode import ms_to_samples, samples_to_ms


class UnspokenError(FailedError):
    """The sound of some piece is no longer stored."""

    kind = "unrepairable"


def publish(context: AppContext, spoken: SpeechResult) -> None:
    """Publish the sound of a job of kind ``speak``, and set the job to complete."""
    catalog, duration_ms = context.catalog, spoken.audio.ms
    # The length of the speech is kept where other jobs keep the length of their recording.
    catalog.finish_plan(spoken.job_id, ms_to_samples(duration_ms), 0)
    details = speech_details(catalog.segments(spoken.job_id), duration_ms)
    publish_files(context, catalog.job(spoken.job_id), [spoken.artifact(context)], details)
    catalog.set_state(spoken.job_id, JobState.COMPLETE)


def published(context: AppContext, job: Job) -> SpeechResult | None:
    """Return the speech of a job that is complete and whose sound is in the store; None otherwise."""
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
    """Join the sound of a job from its stored pieces, and publish it again; makes no request.

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
    """Return the length of a job's speech in ms; 0 before it is spoken."""
    return samples_to_ms(job.samples or 0)
