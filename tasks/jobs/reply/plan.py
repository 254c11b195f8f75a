"""Open a reply: find or make its job once it is known what was said, and what the model is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from stenoflow.storage.database.conversations import Turns
from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.chat import Message
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.assembly.assemble import assemble
from stenoflow.tasks.calls.chosen_models import chat_model
from stenoflow.tasks.calls.offers import refresh_offers
from stenoflow.tasks.calls.provider import provider_name
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import EmptyTranscriptError, SettingsError, StaleError
from stenoflow.tasks.jobs.reply.settings import ReplySettings, hash_of_messages
from stenoflow.tasks.jobs.speak.settings import VoiceOptions, speech_settings
from stenoflow.tasks.transcript.minutes import size

LONGEST_SESSION = 80
_LONGEST_INSTRUCTIONS = 20_000


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What is asked of a reply; None: the default.

    Attributes:
        model: the chat model.
        session: the conversation that it belongs to.
    """

    model: str | None = None
    instructions: str | None = None
    session: str | None = None
    voicing: VoiceOptions = field(default_factory=VoiceOptions)
    tag: str | None = None
    budget_micro: int | None = None


def check_request(context: AppContext, request: ReplyRequest) -> None:
    """Refuse what cannot be done, before anything is transcribed. Raises SettingsError."""
    if request.session is not None and not 0 < len(request.session.strip()) <= LONGEST_SESSION:
        raise SettingsError(f"the name of a session has 1 to {LONGEST_SESSION} characters")
    if request.instructions is not None and len(request.instructions) > _LONGEST_INSTRUCTIONS:
        raise SettingsError(f"the instructions are longer than {_LONGEST_INSTRUCTIONS} characters")
    if not (request.model or context.settings.chat_model):
        refresh_offers(context.settings, ModelKind.CHAT)
    _ = speech_settings(context.settings, context.speech_models, request.voicing)
    # An entry that cannot be used is told of now.
    _ = context.chat_models, context.prices


def said_in(context: AppContext, of: Job) -> str:
    """Return what was said. Raises NothingToDigestError if it was nothing."""
    transcript = assemble(context, of, context.catalog.segments(of.id))
    text = " ".join(each.text for each in transcript.utterances if each.words)
    if not text.strip():
        raise EmptyTranscriptError(f"nothing was said in job {of.id}, so there is nothing to answer")
    return " ".join(text.split())


def open_reply(context: AppContext, of: Job, request: ReplyRequest) -> Job:
    """Open the job that answers what was said in a transcription, or find the one that did.

    Raises:
        NothingToDigestError: nothing was said.
        SettingsError: the voice cannot be had.
    """
    model = chat_model(context.settings, request.model)
    limits = context.chat_models.get(model)
    turns = [] if request.session is None else Turns(context.database).of(request.session)
    room = limits.context - limits.answer
    history = [(turn.role, turn.text) for turn in turns]
    messages = conversation(request.instructions, history, said_in(context, of), room)
    settings = ReplySettings(
        of=of.id,
        messages=hash_of_messages(messages),
        provider=provider_name(context.settings, ModelKind.CHAT),
        model=model,
        answer=limits.answer,
        room=room,
        speech=speech_settings(context.settings, context.speech_models, request.voicing).to_dict(),
        instructions=request.instructions,
        session=request.session,
        upto=turns[-1].number if turns else 0,
    )
    named = f"{of.recording_id} {settings.settings_hash}"
    return context.catalog.open_job(
        Job(
            id=hashlib.sha256(named.encode()).hexdigest()[:12],
            recording_id=of.recording_id,
            kind=JobKind.REPLY,
            settings_hash=settings.settings_hash,
            settings=settings.to_dict(),
            plan_hash=settings.settings_hash,
            tag=request.tag or of.tag,
            budget_micro=request.budget_micro,
        )
    )


def messages_of(context: AppContext, job: Job) -> tuple[Message, ...]:
    """Return what the model is asked for a reply that was opened.

    Raises:
        StaleError: what was said, or what was said before, is not the same any more.
    """
    settings = ReplySettings.from_dict(job.settings)
    turns = (
        [] if settings.session is None else Turns(context.database).of(settings.session, upto=settings.upto)
    )
    said = said_in(context, context.catalog.job(settings.of))
    history = [(turn.role, turn.text) for turn in turns]
    messages = conversation(settings.instructions, history, said, settings.room)
    if hash_of_messages(messages) != settings.messages:
        raise StaleError(
            f"what reply {job.id} is an answer to has changed since", "stenoflow reply answers it anew"
        )
    return messages


INSTRUCTIONS = (
    "You are talking with somebody, and your answer is read aloud. Answer what they say in their language, "
    "in a few plain spoken sentences: no lists, no headings, no markup, no links."
)
"""What a model is told unless the user says something else."""


def conversation(
    instructions: str | None, turns: Sequence[tuple[str, str]], said: str, room: int
) -> tuple[Message, ...]:
    """Return the messages of a question.

    Args:
        instructions: to the model; None: the usual ones.
        turns: (role, text) of what was said before; the oldest are left out where there is no room.
        said: now.
        room: how many tokens all may be, as `stenoflow.tasks.transcript.minutes.size` counts.
    """
    told = Message("system", instructions or INSTRUCTIONS)
    now = Message("user", said)
    left = room - size(told.text) - size(now.text)
    kept: list[Message] = []
    for role, text in reversed(turns):
        left -= size(text)
        if left < 0:
            break
        kept.append(Message(_role(role), text))
    # An answer without its question says nothing.
    while kept and kept[-1].role == "assistant":
        kept.pop()
    return (told, *reversed(kept), now)


def _role(role: str) -> Literal["user", "assistant"]:
    return "assistant" if role == "assistant" else "user"
