"""Publishing a reply: its text and its sound, the manifest last; then it is a turn of its conversation."""

from __future__ import annotations

from storage.database.states import JobState
from storage.database.tables import Artifact, Job
from storage.database.turns import Turns
from tasks.audio_api.chat import parse_chat
from tasks.audio_api.exchange import Target
from tasks.chat.manifest import store_manifest
from tasks.errors import FailedError
from tasks.publishing import artifact_key, artifact_of, retract_manifest
from tasks.reply.opening import said_in
from tasks.reply.settings import ReplySettings
from tasks.reply.voice import spoken_before
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.stored import StoredAudio
from tasks.workshop import Workshop

TEXT = "reply.txt"


class UnansweredError(FailedError):
    """A reply has no answer, or not its whole sound."""

    kind = "unrepairable"


def answer_of(workshop: Workshop, job: Job) -> str | None:
    """Return the stored answer of a reply, as text; None where there is none."""
    settings = ReplySettings.from_dict(job.settings)
    stored = workshop.ledger.answers([settings.work_key]).get(settings.work_key)
    if stored is None:
        return None
    return parse_chat(stored.encode(), Target(settings.provider, settings.model)).text


def publish_reply(workshop: Workshop, job_id: str, audio: StoredAudio | None = None) -> None:
    """Publish a reply that is whole; calls nobody.

    Args:
        workshop: the tools.
        job_id: the reply.
        audio: its sound, in the store; None: it is put together from its stored pieces.

    Raises:
        UnansweredError: something of it is not stored.
    """
    job = workshop.catalog.job(job_id)
    settings = ReplySettings.from_dict(job.settings)
    voice = SpeechSettings.from_dict(settings.speech)
    text = answer_of(workshop, job)
    sound = audio or (text and spoken_before(workshop, job, text, voice)) or None
    if text is None or sound is None:
        raise UnansweredError(
            f"the answer of reply {job_id}, or some of its sound, is not stored",
            f"stenoflow resume {job_id} asks for it",
        )
    retract_manifest(workshop, job)
    key = artifact_key(job, TEXT)
    data = f"{text.strip()}\n".encode()
    workshop.store.put_bytes(key, data, content_type="text/plain; charset=utf-8")
    spoken = Artifact(
        job_id=job_id,
        name=f"reply.{voice.format}",
        key=sound.key,
        uri=workshop.store.uri(sound.key),
        sha256=sound.sha256,
        bytes=sound.bytes,
    )
    duration_ms = workshop.catalog.recording(job.recording_id).duration_ms or 0
    store_manifest(workshop, job, [artifact_of(workshop, job, TEXT, key, data), spoken], duration_ms)
    if settings.session is not None:
        said = said_in(workshop, workshop.catalog.job(settings.of))
        Turns(workshop.database).add(settings.session, job_id, said, text)
    workshop.catalog.set_state(job_id, JobState.COMPLETE)
