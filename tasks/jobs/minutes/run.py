"""Ask a transcript's questions and have the minutes spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.chat import ChatAnswer, parse_chat
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.artifacts.minutes import render_spoken
from stenoflow.tasks.calls.chat import ChatCall
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.budget import QuestionStep
from stenoflow.tasks.jobs.minutes.document import minutes_document
from stenoflow.tasks.jobs.minutes.questions import MinutesAnswers, MinutesPlan
from stenoflow.tasks.jobs.speak.plan import cut
from stenoflow.tasks.jobs.speak.script import clean
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.transcript.minutes import Minutes

if TYPE_CHECKING:
    from stenoflow.tasks.jobs.speak.run import SpeechResult


async def answer_all(caller: Caller, job: Job, work: MinutesPlan) -> None:
    """Have all questions answered, as far as may be; what fails is parked with its reason, in its segment."""
    asked: dict[int, asyncio.Task[Minutes | None]] = {}
    for step in work.steps:
        needed = {index: asked[index] for index in step.of}
        asked[step.index] = asyncio.create_task(_answer(caller, job, work, step, needed))
    for outcome in await asyncio.gather(*asked.values(), return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _answer(
    caller: Caller,
    job: Job,
    work: MinutesPlan,
    step: QuestionStep,
    needed: Mapping[int, asyncio.Task[Minutes | None]],
) -> Minutes | None:
    """Have one question answered; None where it could not be, or nothing came of what it is about."""
    answers: dict[int, Minutes] = {}
    for index, task in needed.items():
        minutes = await task
        if minutes is None:
            return None
        answers[index] = minutes

    def read(answer: ChatAnswer) -> Minutes | None:
        return None if answer.refusal else work.read(step, answer, answers)

    request = await asyncio.to_thread(work.request, step, answers)
    key, target = work.keys[step.index], Target(work.settings.provider, work.settings.model)
    question = ChatCall(
        context=caller.context,
        job_id=job.id,
        index=step.index,
        cache_key=key,
        target=target,
        request=request,
        is_usable=lambda answer: read(answer) is not None,
    )
    try:
        await caller.obtain(question)
    except StenoflowError:
        return None
    stored = await run_blocking(caller.context.ledger.answers, [key])
    return read(parse_chat(stored[key].encode(), target))


def store_steps(context: AppContext, job: Job, work: MinutesPlan) -> None:
    """Store the questions of minutes as segments of their job, before the first is asked."""
    for segment, key in zip(work.segments(), work.keys, strict=True):
        context.catalog.add_segment(job.id, segment, key)
    last = work.segments()[-1]
    context.catalog.finish_plan(job.id, last.end_sample, 0)


_NAME = "digest"


async def speak_minutes(caller: Caller, job: Job, work: MinutesPlan) -> SpeechResult | None:
    """Have the minutes of a digest spoken, if that was asked for and they are whole.

    Raises:
        StenoflowError: they are not spoken whole; what there is of it is kept.
    """
    text = await run_blocking(_text, caller.context, job, work)
    if text is None or work.settings.speech is None:
        return None
    from stenoflow.tasks.jobs.speak.run import speak_text  # noqa: PLC0415 - with it comes numpy

    settings = SpeechSettings.from_dict(work.settings.speech)
    return await speak_text(caller, job.id, text, settings, first_index=len(work.steps), name=_NAME)


def spoken_before(context: AppContext, job: Job, work: MinutesPlan) -> Artifact | None:
    """Put the sound together again from its stored pieces; None where some are not there. Calls nobody."""
    text = _text(context, job, work)
    pieces = [each for each in context.catalog.segments(job.id) if each.activity == Activity.SPEECH]
    if text is None or work.settings.speech is None or not pieces:
        return None
    from stenoflow.tasks.calls.speak import stored_audio  # noqa: PLC0415 - with it comes numpy
    from stenoflow.tasks.jobs.speak.run import SpeechResult, store_whole  # noqa: PLC0415 - the same

    found = [stored_audio(context, piece.cache_key) for piece in pieces]
    stored = [each for each in found if each is not None]
    if len(stored) < len(found):
        return None
    settings = SpeechSettings.from_dict(work.settings.speech)
    script = cut(context, job.id, clean(text), settings, len(work.steps))
    audio = store_whole(context, job.id, script, stored, _NAME)
    return SpeechResult(job.id, audio, f"{_NAME}.{settings.format}", len(stored)).artifact(context)


def _text(context: AppContext, job: Job, work: MinutesPlan) -> str | None:
    """Return what is read aloud; None where it is not to be, or not yet: it would be another text later."""
    if work.settings.speech is None:
        return None
    answers = MinutesAnswers.stored(context, work)
    return render_spoken(minutes_document(context, job, answers)) if answers.is_complete else None
