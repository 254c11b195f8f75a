"""Opening a digest: its job is found or made, and refused before anything is spent if it makes no sense."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.states import PUBLISHED, JobKind, JobState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StorageError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.artifacts.minutes_template import MOST_BYTES, check_template
from stenoflow.tasks.assembly.assemble import assemble
from stenoflow.tasks.billing.prices import Tokens
from stenoflow.tasks.calls.bills import check_affordable, reserve_tokens
from stenoflow.tasks.calls.chosen_models import chat_model
from stenoflow.tasks.calls.offers import refresh_offers
from stenoflow.tasks.calls.provider import provider_name
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import EmptyTranscriptError, SettingsError, StaleError
from stenoflow.tasks.jobs.minutes.questions import MinutesPlan
from stenoflow.tasks.jobs.minutes.settings import MinutesSettings, hash_of_lines
from stenoflow.tasks.jobs.speak.settings import VoiceOptions, speech_settings
from stenoflow.tasks.settings import inbox_of
from stenoflow.tasks.transcript.minutes import lines_of


@dataclass(frozen=True, slots=True)
class MinutesRequest:
    """What is asked of a digest; None: the default.

    Attributes:
        voicing: how the minutes are read aloud; None: they are not.
        template: a file by which they are written; None: what ``[minutes]`` says of the tag or the inbox.
        tag: None: the transcription's.
    """

    model: str | None = None
    voicing: VoiceOptions | None = None
    tag: str | None = None
    budget_micro: int | None = None
    template: Path | None = None


def open_minutes(context: AppContext, of: Job, request: MinutesRequest) -> Job:
    """Open the job that makes minutes of a transcription, or find the one that did.

    Raises:
        SettingsError: that is no transcription, or the model's context is too small.
        NothingToDigestError: it has no transcript, or nothing was said in it.
        BudgetError: what it may cost has no room; the job says so too.
    """
    _check(of)
    transcript = assemble(context, of, context.catalog.segments(of.id))
    lines = lines_of(transcript)
    if not lines:
        raise EmptyTranscriptError(f"nothing was said in job {of.id}, so there are no minutes to make of it")
    settings = _settings(context, of, request, hash_of_lines(lines))
    if not (request.model or context.settings.chat_model) and not _is_there(
        context, _job(of, settings, request)
    ):
        refresh_offers(context.settings, ModelKind.CHAT)
        settings = _settings(context, of, request, hash_of_lines(lines))
    work = MinutesPlan(settings, transcript)
    _ = work.steps
    job = context.catalog.open_job(_job(of, settings, request))
    if job.state != JobState.COMPLETE:
        check_affordable(context, job, expected_bills(context, work))
    return job


def _is_there(context: AppContext, job: Job) -> bool:
    try:
        _ = context.catalog.job(job.id)
    except StorageError:
        return False
    return True


def _settings(context: AppContext, of: Job, request: MinutesRequest, transcript: str) -> MinutesSettings:
    model = chat_model(context.settings, request.model)
    room = context.chat_models.get(model)
    return MinutesSettings(
        of=of.id,
        transcript=transcript,
        provider=provider_name(context.settings, ModelKind.CHAT),
        model=model,
        context=room.context,
        answer=room.answer,
        speech=_speech(context, request.voicing),
        template=_template(context, of, request),
    )


def _speech(context: AppContext, voicing: VoiceOptions | None) -> dict[str, Any] | None:
    if voicing is None:
        return None
    return speech_settings(context.settings, context.speech_models, voicing).to_dict()


def _template(context: AppContext, of: Job, request: MinutesRequest) -> str | None:
    """Read the template that is meant; None: the built-in shape. Raises SettingsError for one of no use."""
    path = request.template
    if path is None:
        chosen = context.settings.minutes
        source = context.catalog.recording(of.recording_id).source
        path = chosen.template_for(request.tag or of.tag, inbox_of(context.settings, source))
    return None if path is None else read_template(context.settings.home, path)


def read_template(home: Path, path: Path) -> str:
    """Return the template of minutes in a file, relative to the home. Raises SettingsError as `_template`."""
    path = path.expanduser()
    path = path if path.is_absolute() else home / path
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettingsError(f"the template {path} is longer than {MOST_BYTES} bytes")
        template = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        message = f"the template {path} cannot be read: {plain_reason(error)}"
        raise SettingsError(message, _TEMPLATE_HINT) from error
    check_template(template)
    return template


_TEMPLATE_HINT = "name a text file by --template, or under [minutes] in the settings"


def plan_of_minutes(context: AppContext, job: Job) -> MinutesPlan:
    """Return what there is to do for a digest that was opened.

    Raises:
        StaleError: the transcription was completed since, or is gone.
    """
    settings = MinutesSettings.from_dict(job.settings)
    of = context.catalog.job(settings.of)
    work = MinutesPlan(settings, assemble(context, of, context.catalog.segments(of.id)))
    if not work.is_of_this_transcript:
        raise StaleError(
            f"the transcript of job {of.id} has changed since digest {job.id} was made of it",
            f"stenoflow digest {of.id} makes minutes of it as it is now",
        )
    return work


def _check(of: Job) -> None:
    if of.kind != JobKind.TRANSCRIBE:
        other = of.settings.get("of")
        hint = f"stenoflow digest {other}" if other else "stenoflow jobs lists them"
        raise SettingsError(f"job {of.id} is no transcription but of kind {of.kind}", hint)
    if of.state in PUBLISHED:
        return
    if of.state in {JobState.FAILED, JobState.REFUSED}:
        why = f": {of.error_message}" if of.error_message else ""
        raise EmptyTranscriptError(f"job {of.id} {of.state}, so there is no transcript{why}")
    raise EmptyTranscriptError(
        f"job {of.id} is not at its end yet ({of.state})", f"stenoflow resume {of.id} goes on with it"
    )


def _job(of: Job, settings: MinutesSettings, request: MinutesRequest) -> Job:
    named = f"{of.recording_id} {settings.settings_hash}"
    return Job(
        id=hashlib.sha256(named.encode()).hexdigest()[:12],
        recording_id=of.recording_id,
        kind=JobKind.MINUTES,
        settings_hash=settings.settings_hash,
        settings=settings.to_dict(),
        # Nobody else cuts so.
        plan_hash=settings.settings_hash,
        tag=request.tag or of.tag,
        inbox=of.inbox,
        budget_micro=request.budget_micro,
        origin_ms=0,
    )


def expected_bills(context: AppContext, work: MinutesPlan) -> Iterator[tuple[Target, Bill]]:
    """Yield what is yet to be asked at most."""
    answered = context.ledger.answered(work.keys)
    asked = [
        work.longest_request(step)
        for step, key in zip(work.steps, work.keys, strict=True)
        if key not in answered
    ]
    tokens = Tokens(sum(each.most_input_tokens for each in asked), sum(each.most_tokens for each in asked))
    target = Target(work.settings.provider, work.settings.model)
    yield target, reserve_tokens(context.prices.find(target.provider, target.model), tokens)
