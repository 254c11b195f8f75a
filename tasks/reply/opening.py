"""Opening a reply: its job is found or made, once it is known what was said."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from storage.database.states import JobKind
from storage.database.tables import Job
from storage.database.turns import Turns
from tasks.audio_api.chat import Message
from tasks.chat.choice import chat_model
from tasks.digest.opening import NothingToDigestError, StaleError
from tasks.errors import SettingsError
from tasks.hearing import provider_name
from tasks.publishing import assemble
from tasks.reply.conversation import conversation
from tasks.reply.settings import ReplySettings, hash_of_messages
from tasks.speaking.settings import Voicing, speech_settings
from tasks.workshop import Workshop

LONGEST_SESSION = 80
_LONGEST_INSTRUCTIONS = 20_000


@dataclass(frozen=True, slots=True)
class ReplyWish:
    """What is asked of a reply; None: the default.

    Attributes:
        model: the chat model.
        session: the conversation that it belongs to.
    """

    model: str | None = None
    instructions: str | None = None
    session: str | None = None
    voicing: Voicing = field(default_factory=Voicing)
    tag: str | None = None
    budget_micro: int | None = None


def check_wish(workshop: Workshop, wish: ReplyWish) -> None:
    """Refuse what cannot be done, before anything is heard. Raises SettingsError."""
    if wish.session is not None and not 0 < len(wish.session.strip()) <= LONGEST_SESSION:
        raise SettingsError(f"the name of a session has 1 to {LONGEST_SESSION} characters")
    if wish.instructions is not None and len(wish.instructions) > _LONGEST_INSTRUCTIONS:
        raise SettingsError(f"the instructions are longer than {_LONGEST_INSTRUCTIONS} characters")
    _ = speech_settings(workshop.settings, workshop.speech_models, wish.voicing)
    # An entry that cannot be used is told of now.
    _ = workshop.chat_models, workshop.prices


def said_in(workshop: Workshop, of: Job) -> str:
    """Return what was said. Raises NothingToDigestError if it was nothing."""
    transcript = assemble(workshop, of, workshop.catalog.segments(of.id))
    text = " ".join(each.text for each in transcript.utterances if each.words)
    if not text.strip():
        raise NothingToDigestError(f"nothing was said in job {of.id}, so there is nothing to answer")
    return " ".join(text.split())


def open_reply(workshop: Workshop, of: Job, wish: ReplyWish) -> Job:
    """Open the job that answers what was said in a transcription, or find the one that did.

    Raises:
        NothingToDigestError: nothing was said.
        SettingsError: the voice cannot be had.
    """
    model = chat_model(workshop.settings, wish.model)
    limits = workshop.chat_models.get(model)
    turns = [] if wish.session is None else Turns(workshop.database).of(wish.session)
    room = limits.context - limits.answer
    history = [(turn.role, turn.text) for turn in turns]
    messages = conversation(wish.instructions, history, said_in(workshop, of), room)
    settings = ReplySettings(
        of=of.id,
        messages=hash_of_messages(messages),
        provider=provider_name(workshop.settings),
        model=model,
        answer=limits.answer,
        room=room,
        speech=speech_settings(workshop.settings, workshop.speech_models, wish.voicing).to_dict(),
        instructions=wish.instructions,
        session=wish.session,
        upto=turns[-1].number if turns else 0,
    )
    named = f"{of.recording_id} {settings.settings_hash}"
    return workshop.catalog.open_job(
        Job(
            id=hashlib.sha256(named.encode()).hexdigest()[:12],
            recording_id=of.recording_id,
            kind=JobKind.REPLY,
            settings_hash=settings.settings_hash,
            settings=settings.to_dict(),
            plan_hash=settings.settings_hash,
            tag=wish.tag or of.tag,
            budget_micro=wish.budget_micro,
        )
    )


def messages_of(workshop: Workshop, job: Job) -> tuple[Message, ...]:
    """Return what the model is asked for a reply that was opened.

    Raises:
        StaleError: what was said, or what was said before, is not the same any more.
    """
    settings = ReplySettings.from_dict(job.settings)
    turns = (
        [] if settings.session is None else Turns(workshop.database).of(settings.session, upto=settings.upto)
    )
    said = said_in(workshop, workshop.catalog.job(settings.of))
    history = [(turn.role, turn.text) for turn in turns]
    messages = conversation(settings.instructions, history, said, settings.room)
    if hash_of_messages(messages) != settings.messages:
        raise StaleError(
            f"what reply {job.id} is an answer to has changed since", "stenoflow reply answers it anew"
        )
    return messages
