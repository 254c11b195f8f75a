"""Publish a reply, its text and its sound, and add it to its conversation."""

from __future__ import annotations

from stenoflow.storage.database.conversations import Turns
from stenoflow.storage.database.states import JobState
from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.tasks.api.chat import parse_chat
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.artifacts.manifest import chat_details
from stenoflow.tasks.artifacts.publisher import ArtifactFile, publish_files
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import FailedError
from stenoflow.tasks.jobs.reply.plan import said_in
from stenoflow.tasks.jobs.reply.settings import ReplySettings
from stenoflow.tasks.jobs.reply.voice import spoken_before
from stenoflow.tasks.jobs.speak.settings import SpeechSettings

TEXT = "reply.txt"


class UnansweredError(FailedError):
    """A reply has no answer, or not its whole sound."""

    kind = "unrepairable"


def answer_of(context: AppContext, job: Job) -> str | None:
    """Return the stored answer of a reply, as text; None where there is none."""
    settings = ReplySettings.from_dict(job.settings)
    stored = context.ledger.answers([settings.cache_key]).get(settings.cache_key)
    if stored is None:
        return None
    return parse_chat(stored.encode(), Target(settings.provider, settings.model)).text


def publish_reply(context: AppContext, job_id: str, audio: StoredAudio | None = None) -> None:
    """Publish a reply that is whole; calls nobody.

    Args:
        context: the tools.
        job_id: the reply.
        audio: its sound, in the store; None: it is put together from its stored pieces.

    Raises:
        UnansweredError: something of it is not stored.
    """
    job = context.catalog.job(job_id)
    settings = ReplySettings.from_dict(job.settings)
    voice = SpeechSettings.from_dict(settings.speech)
    text = answer_of(context, job)
    sound = audio or (text and spoken_before(context, job, text, voice)) or None
    if text is None or sound is None:
        raise UnansweredError(
            f"the answer of reply {job_id}, or some of its sound, is not stored",
            f"stenoflow resume {job_id} asks for it",
        )
    written = ArtifactFile(TEXT, f"{text.strip()}\n".encode(), "text/plain; charset=utf-8")
    spoken = Artifact(
        job_id=job_id,
        name=f"reply.{voice.format}",
        key=sound.key,
        uri=context.store.uri(sound.key),
        sha256=sound.sha256,
        bytes=sound.bytes,
    )
    duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
    details = chat_details(context.catalog.segments(job_id), duration_ms)
    publish_files(context, job, [written, spoken], details)
    if settings.session is not None:
        said = said_in(context, context.catalog.job(settings.of))
        Turns(context.database).add(settings.session, job_id, said, text)
    context.catalog.set_state(job_id, JobState.COMPLETE)
