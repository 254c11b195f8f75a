"""Speaking a text as a job of its own: claimed, spoken, published; and stopped by the user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from flows.running import InterruptedByUserError
from storage.database.states import JobState, SegmentState
from storage.database.tables import Job
from storage.errors import BudgetError, StenoflowError, TakenError
from tasks.audio_api.gate import Gate
from tasks.hearing import open_api
from tasks.settling import settle
from tasks.speaking.job import text_of
from tasks.speaking.live import LivePiece
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.speaker import Speaker
from tasks.speaking.speaking import Spoken, speak_text
from tasks.workshop import Workshop

# How often to look whether another run has come to its end.
_LOOK_AGAIN_S = 1.0


@asynccontextmanager
async def open_speaker(workshop: Workshop, concurrency: int) -> AsyncIterator[Speaker]:
    """Open what speaks: a run that is alive in the database, the client of the API and its gate.

    A flow that has a run open already makes its own: ``Speaker(workshop, api, gate)``.
    """
    with workshop.leases.held(workshop.run_id):
        async with open_api(workshop.settings, workshop.models) as api:
            yield Speaker(workshop, api, Gate(concurrency))


async def speak_job(
    speaker: Speaker,
    job: Job,
    *,
    live: Callable[[int], Sequence[LivePiece]] | None = None,
    wait: Callable[[str], None] = lambda _: None,
) -> Spoken:
    """Speak the text of a job of kind ``speak``, and publish it; what is stored is not sent again.

    Args:
        speaker: from `open_speaker`.
        job: from `open_speech_job`.
        live: makes a listener a piece, given how many there are; None: nobody listens.
        wait: told what is waited for.

    Raises:
        StenoflowError: it is not spoken whole; the job says so, and what there is of it is kept.
    """
    workshop = speaker.workshop
    await _claim(workshop, job.id, wait)
    try:
        text = await settle(text_of, workshop, job)
        settings = SpeechSettings.from_dict(job.settings)
        spoken = await speak_text(speaker, job.id, text, settings, live=live)
        await settle(_publish, workshop, spoken, len(text))
    except StenoflowError as error:
        await settle(_set_broken, workshop, job.id, error)
        error.job_id = job.id
        raise
    except asyncio.CancelledError:
        await settle(workshop.catalog.set_state, job.id, JobState.INTERRUPTED)
        raise
    return spoken


async def _claim(workshop: Workshop, job_id: str, wait: Callable[[str], None]) -> None:
    """Take a job, once no other run that is alive is at work on it."""
    told = False
    while True:
        try:
            await settle(workshop.catalog.claim, job_id, again=True)
            break
        except TakenError:
            if not told:
                wait("another run is at work on the same; waiting for its end")
            told = True
            await asyncio.sleep(_LOOK_AGAIN_S)
    broken = StenoflowError("the run that made this call was broken off")
    await settle(workshop.ledger.recover, job_id, broken)
    await settle(workshop.catalog.retry_parked, job_id)


def _publish(workshop: Workshop, spoken: Spoken, characters: int) -> None:
    workshop.catalog.finish_plan(spoken.job_id, characters, 0)
    workshop.catalog.record_artifacts(spoken.job_id, [spoken.artifact(workshop)], spoken.audio.ms)
    workshop.catalog.set_state(spoken.job_id, JobState.COMPLETE)


def _set_broken(workshop: Workshop, job_id: str, error: StenoflowError) -> None:
    """Say in a job how far it came: where some of it is there, `resume` asks for the rest."""
    if isinstance(error, InterruptedByUserError):
        workshop.catalog.set_state(job_id, JobState.INTERRUPTED)
        return
    done = any(each.state == SegmentState.DONE for each in workshop.catalog.segments(job_id))
    state = JobState.PARTIAL if done else JobState.FAILED
    if isinstance(error, BudgetError) and not done:
        state = JobState.REFUSED
    workshop.catalog.set_state(job_id, state, error)
