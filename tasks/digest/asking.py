"""Asking a digest's questions: the parts side by side, and each sum as soon as its parts are there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from storage.database.tables import Job
from storage.errors import StenoflowError
from tasks.audio_api.chat import ChatAnswer, parse_chat
from tasks.audio_api.exchange import Target
from tasks.chat.asking import Chatter, Question
from tasks.digest.work import Work
from tasks.minutes.minutes import Minutes
from tasks.minutes.planning import Step
from tasks.settling import settle
from tasks.workshop import Workshop


async def begin(workshop: Workshop, job: Job, work: Work, *, again: bool = False) -> None:
    """Claim a digest and store its steps, before the first question.

    Raises:
        TakenError: another run, which is alive, is at work on it.
        CrashedError: it is set aside; ``again`` takes it even so.
    """
    await settle(workshop.catalog.claim, job.id, again=again)
    broken = StenoflowError("the run that made this call was broken off")
    await settle(workshop.ledger.recover, job.id, broken)
    await settle(workshop.catalog.retry_parked, job.id)
    await settle(_store_steps, workshop, job, work)


async def answer_all(chatter: Chatter, job: Job, work: Work) -> None:
    """Have all questions answered, as far as may be; what fails is parked with its reason, in its segment."""
    asked: dict[int, asyncio.Task[Minutes | None]] = {}
    for step in work.steps:
        needed = {index: asked[index] for index in step.of}
        asked[step.index] = asyncio.create_task(_answer(chatter, job, work, step, needed))
    for outcome in await asyncio.gather(*asked.values(), return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _answer(
    chatter: Chatter,
    job: Job,
    work: Work,
    step: Step,
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
    question = Question(
        job.id, step.index, work.settings.provider, request, lambda answer: read(answer) is not None
    )
    try:
        await chatter.ask(question)
    except StenoflowError:
        return None
    key = work.keys[step.index]
    stored = await settle(chatter.workshop.ledger.answers, [key])
    return read(parse_chat(stored[key].encode(), Target(work.settings.provider, work.settings.model)))


def _store_steps(workshop: Workshop, job: Job, work: Work) -> None:
    for cut, key in zip(work.segments(), work.keys, strict=True):
        workshop.catalog.add_segment(job.id, cut, key)
    last = work.segments()[-1]
    workshop.catalog.finish_plan(job.id, last.end_sample, 0)
