"""Opening a digest: its job is found or made, and refused before anything is spent if it makes no sense."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from storage.database.postings import Bill
from storage.database.states import JobKind, JobState
from storage.database.tables import Job
from storage.errors import StenoflowError
from tasks.affording import bill_of_tokens
from tasks.audio_api.exchange import Target
from tasks.chat.choice import chat_model
from tasks.digest.settings import DigestSettings, hash_of_lines
from tasks.digest.work import Work
from tasks.errors import FailedError, RefusedError, SettingsError
from tasks.hearing import provider_name
from tasks.minutes.lines import lines_of
from tasks.money.prices import Price, Tokens
from tasks.publishing import assemble
from tasks.speaking.settings import Voicing, speech_settings
from tasks.workshop import Workshop

_PUBLISHED = {JobState.COMPLETE, JobState.PARTIAL}


class NothingToDigestError(RefusedError):
    """There is no transcript to make minutes of."""

    kind = "nothing-to-digest"


class StaleError(FailedError):
    """The transcript is not the one any more that a digest is of."""

    kind = "stale"


@dataclass(frozen=True, slots=True)
class DigestWish:
    """What is asked of a digest; None: the default.

    Attributes:
        voicing: how the minutes are read aloud; None: they are not.
        tag: None: the transcription's.
    """

    model: str | None = None
    voicing: Voicing | None = None
    tag: str | None = None
    budget_micro: int | None = None


def open_digest(workshop: Workshop, of: Job, wish: DigestWish) -> Job:
    """Open the job that makes minutes of a transcription, or find the one that did.

    Raises:
        SettingsError: that is no transcription, or the model's context is too small.
        NothingToDigestError: it has no transcript, or nothing was said in it.
        BudgetError: what it may cost has no room; the job says so too.
    """
    _check(of)
    transcript = assemble(workshop, of, workshop.catalog.segments(of.id))
    lines = lines_of(transcript)
    if not lines:
        raise NothingToDigestError(f"nothing was said in job {of.id}, so there are no minutes to make of it")
    model = chat_model(workshop.settings, wish.model)
    room = workshop.chat_models.get(model)
    settings = DigestSettings(
        of=of.id,
        transcript=hash_of_lines(lines),
        provider=provider_name(workshop.settings),
        model=model,
        context=room.context,
        answer=room.answer,
        speech=_speech(workshop, wish.voicing),
    )
    work = Work(settings, transcript)
    _ = work.steps
    job = workshop.catalog.open_job(_job(of, settings, wish))
    if job.state != JobState.COMPLETE:
        _check_affordable(workshop, job, work)
    return job


def _speech(workshop: Workshop, voicing: Voicing | None) -> dict[str, Any] | None:
    if voicing is None:
        return None
    return speech_settings(workshop.settings, workshop.speech_models, voicing).to_dict()


def work_of(workshop: Workshop, job: Job) -> Work:
    """Return what there is to do for a digest that was opened.

    Raises:
        StaleError: the transcription was completed since, or is gone.
    """
    settings = DigestSettings.from_dict(job.settings)
    of = workshop.catalog.job(settings.of)
    work = Work(settings, assemble(workshop, of, workshop.catalog.segments(of.id)))
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
    if of.state in _PUBLISHED:
        return
    if of.state in {JobState.FAILED, JobState.REFUSED}:
        why = f": {of.error_message}" if of.error_message else ""
        raise NothingToDigestError(f"job {of.id} {of.state}, so there is no transcript{why}")
    raise NothingToDigestError(
        f"job {of.id} is not at its end yet ({of.state})", f"stenoflow resume {of.id} goes on with it"
    )


def _job(of: Job, settings: DigestSettings, wish: DigestWish) -> Job:
    named = f"{of.recording_id} {settings.settings_hash}"
    return Job(
        id=hashlib.sha256(named.encode()).hexdigest()[:12],
        recording_id=of.recording_id,
        kind=JobKind.DIGEST,
        settings_hash=settings.settings_hash,
        settings=settings.to_dict(),
        # Nobody else cuts so.
        plan_hash=settings.settings_hash,
        tag=wish.tag or of.tag,
        budget_micro=wish.budget_micro,
        origin_ms=0,
    )


def _check_affordable(workshop: Workshop, job: Job, work: Work) -> None:
    """Refuse a digest that has spent nothing yet and for which there may be no room."""
    spent = workshop.reports.spending([job.id])
    if spent.actual_micro + spent.possible_micro:
        return
    bill = _most(workshop, work)
    if not bill.quantity:
        return
    target = Target(work.settings.provider, work.settings.model)
    try:
        workshop.ledger.check_room(job.id, workshop.run_id, str(target), bill)
    except StenoflowError as error:
        error.job_id = job.id
        workshop.catalog.set_state(job.id, JobState.REFUSED, error)
        raise


def _most(workshop: Workshop, work: Work) -> Bill:
    """Return what is yet to be asked at most."""
    answered = workshop.ledger.answered(work.keys)
    asked = [
        work.longest_request(step)
        for step, key in zip(work.steps, work.keys, strict=True)
        if key not in answered
    ]
    tokens = Tokens(sum(each.most_input_tokens for each in asked), sum(each.most_tokens for each in asked))
    price: Price | None = workshop.prices.find(work.settings.provider, work.settings.model)
    return bill_of_tokens(price, tokens, price.reserve_tokens(tokens) if price else None)
