"""A text to be spoken as a job of its own: a recording that is a text, its pieces the segments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.states import Activity, JobKind, JobState
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.job_settings import recording_id
from stenoflow.tasks.calls.bills import check_affordable, reserve_speech
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.script import SpeechScript, TextSpan, clean, name_of
from stenoflow.tasks.jobs.speak.settings import SpeechSettings, hash_of

SOURCE_PREFIX = "text:"
_TEXT = "text.txt"


def open_speech_job(
    context: AppContext,
    text: str,
    settings: SpeechSettings,
    *,
    tag: str | None = None,
    budget_micro: int | None = None,
) -> Job:
    """Open the job that speaks a text, or find it; the text is kept in the store, for `resume`.

    Nothing is asked of the API. A job that was complete before stays so.

    Raises:
        NothingToSayError: there is no word in the text.
        BudgetError: it cannot be afforded; the job is refused.
        StenoflowError: it could not be stored.
    """
    told = clean(text)
    data = told.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    source = f"{SOURCE_PREFIX}{sha256}"
    recording = context.catalog.add_recording(
        Recording(
            id=recording_id(source, sha256),
            source=source,
            name=name_of(told),
            version=None,
            sha256=sha256,
            bytes=len(data),
        )
    )
    context.store.put_bytes(_text_key(recording.id), data, content_type="text/plain; charset=utf-8")
    job = context.catalog.open_job(
        Job(
            id=hash_of([recording.id, settings.settings_hash])[:12],
            recording_id=recording.id,
            kind=JobKind.SPEAK,
            settings_hash=settings.settings_hash,
            settings=settings.to_dict(),
            plan_hash=hash_of([JobKind.SPEAK, sha256]),
            tag=tag,
            budget_micro=budget_micro,
        )
    )
    if job.state != JobState.COMPLETE:
        check_affordable(context, job, expected_bills(context, told, settings))
    return job


def text_of(context: AppContext, job: Job) -> str:
    """Return what a job speaks. Raises ObjectNotFoundError if it is gone from the store."""
    return context.store.get_bytes(_text_key(job.recording_id)).decode()


def cut(
    context: AppContext, job_id: str, text: str, settings: SpeechSettings, first_index: int = 0
) -> SpeechScript:
    """Cut a text into segments of a job, or find those that it was cut into before.

    Args:
        context: the tools.
        job_id: the job, which this run has claimed.
        text: cleaned.
        settings: of its voice.
        first_index: the number of the first of these segments; all from there on are of this text.
    """
    before = tuple(
        TextSpan(each.start_sample, each.end_sample)
        for each in context.catalog.segments(job_id)
        if each.index >= first_index
    )
    if before and before[-1].end == len(text):
        return SpeechScript(text, settings, before)
    script = script_of(context, text, settings)
    for index, (span, key) in enumerate(zip(script.spans, script.cache_keys, strict=True), first_index):
        place = SegmentPlan(index, span.start, span.end, forced=False, speech=(), activity=Activity.SPEECH)
        context.catalog.add_segment(job_id, place, key)
    return script


def script_of(context: AppContext, text: str, settings: SpeechSettings) -> SpeechScript:
    """Cut a text as its model wants it."""
    return SpeechScript.of(text, settings, context.speech_models.get(settings.model).max_characters)


def expected_bills(context: AppContext, text: str, settings: SpeechSettings) -> Iterator[tuple[Target, Bill]]:
    """Yield what each piece that is not stored costs at most."""
    script = script_of(context, text, settings)
    characters = dict(zip(script.cache_keys, map(len, script.pieces), strict=True))
    answered = context.ledger.answered(characters)
    target = Target(settings.provider, settings.model)
    price = context.prices.find(target.provider, target.model)
    for key, count in characters.items():
        if key not in answered:
            yield target, reserve_speech(price, count, settings.speed)


def _text_key(recording: str) -> str:
    return f"{recording}/{_TEXT}"
