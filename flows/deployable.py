"""The flows that Prefect starts by itself: from the dashboard, on a schedule, on any worker.

Their parameters are ids, addresses and options: they stand in the dashboard for everybody to read.
"""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import unquote

from prefect import flow
from prefect.client.schemas import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from flows.at_work import (
    at_work,
    at_work_on_digests,
    is_cancelled,
    open_tools,
    show_minutes,
    state_of,
    state_of_digest,
)
from flows.batch import Order
from flows.ingesting import Taking
from flows.speaking_again import speak_again
from flows.spreading import spread
from flows.taking_up import TAG, take_up_what_was_left
from storage.database.states import JobKind, JobState
from storage.errors import StenoflowError
from tasks.digest.opening import DigestWish, open_digest
from tasks.inbox.opening import open_inbox
from tasks.inbox.options import Options
from tasks.inbox.reception import Reception, wish_of
from tasks.inbox.settling import Settling
from tasks.intake import Wish
from tasks.job_settings import JobSettings
from tasks.settling import settle
from tasks.sources import resolve
from tasks.sources.naming import display_name
from tasks.speaking.settings import Voicing
from tasks.verifying import verify as verify_job

_log = logging.getLogger(__name__)
_NOTHING_SAID = Options()
_PUBLISHED = {JobState.COMPLETE, JobState.PARTIAL}

Address = Annotated[str, Field(description="A file, a folder, s3://bucket/key, or s3://bucket/prefix/.")]
InboxAddress = Annotated[str, Field(description="A drop folder: DIR, or s3://bucket/prefix/.")]
Repair = Annotated[bool, Field(description="Build anew what is not as recorded, without a call.")]
Reject = Annotated[bool, Field(description="Move what is refused to rejected/ beside the inbox.")]


def _run_name() -> str:
    """Name a flow run after what it works on."""
    given = flow_run.parameters
    what = next((given[name] for name in ("source", "inbox", "job") if given.get(name)), "")
    return display_name(unquote(str(what)))


def _is_asked_for() -> bool:
    """Tell whether a person asked for this flow run: what was set aside is tried again for nobody else."""
    return TAG not in flow_run.tags


@flow(name="transcribe", flow_run_name=_run_name, persist_result=False)
async def transcribe(source: Address, options: Options = _NOTHING_SAID) -> State[None]:
    """Transcribe a recording, or all in a folder; what is stored already is not bought again.

    Args:
        source: where it is.
        options: what is said of it.
    """
    async with at_work() as batch:
        try:
            wish = wish_of(batch.workshop, options)
            found = await settle(resolve, source, batch.workshop.s3)
        except StenoflowError as error:
            return Failed(name="Refused", message=str(error))
        return state_of(await batch.run([Order(each, wish, again=_is_asked_for()) for each in found]))


@flow(name="resume", flow_run_name=_run_name, persist_result=False)
async def resume(job: Annotated[str, Field(description="A job's id.")]) -> State[None]:
    """Go on where a job stopped: only what has no answer yet is sent.

    Args:
        job: its id.
    """
    with open_tools() as workshop:
        kind = (await settle(workshop.catalog.job, job)).kind
        if kind == JobKind.SPEAK:
            return await speak_again(workshop, job)
        if kind == JobKind.REPLY:
            # Whoever asked has waited long enough; `resume` goes on, if somebody still wants it.
            await settle(workshop.catalog.claim, job, again=True)
            await settle(workshop.catalog.set_state, job, JobState.INTERRUPTED)
            return Completed(name="Skipped", message=f"stenoflow resume {job} goes on")
    if kind == JobKind.DIGEST:
        return await _digest_again(job)
    async with at_work() as batch:
        stored = await settle(batch.workshop.catalog.job, job)
        recording = await settle(batch.workshop.catalog.recording, stored.recording_id)
        settings = JobSettings.from_dict(stored.settings)
        follows = batch.workshop.settings.digest
        wish = Wish(settings, stored.tag, stored.budget_micro, digest=follows)
        found = await settle(resolve, recording.source, batch.workshop.s3)
        return state_of(await batch.run([Order(each, wish, again=_is_asked_for()) for each in found]))


async def _digest_again(job: str) -> State[None]:
    async with at_work_on_digests() as digesting:
        stored = await settle(digesting.workshop.catalog.job, job)
        (outcome,) = await digesting.run([stored], again=True)
        await show_minutes(digesting.workshop, outcome)
    return state_of_digest(outcome)


@flow(name="digest", flow_run_name=_run_name, persist_result=False)
async def digest(
    job: Annotated[str, Field(description="A transcription's job.")],
    model: Annotated[str | None, Field(description="The chat model. Default: the setting's.")] = None,
    voice: Annotated[str | None, Field(description="Who reads the minutes aloud; none: nobody.")] = None,
    format: Annotated[str, Field(description="Of the sound: mp3, opus, …")] = "mp3",  # noqa: A002
) -> State[None]:
    """Make minutes of a transcript; what is stored already is not bought again.

    Args:
        job: the transcription's id.
        model: that writes them.
        voice: that reads them aloud.
        format: of the sound.
    """
    async with at_work_on_digests() as digesting:
        workshop = digesting.workshop
        voicing = None if voice is None else Voicing(voice=voice, format=format)
        try:
            of = await settle(workshop.catalog.job, job)
            opened = await settle(open_digest, workshop, of, DigestWish(model, voicing))
        except StenoflowError as error:
            return Failed(name="Refused", message=str(error))
        (outcome,) = await digesting.run([opened])
        await show_minutes(workshop, outcome)
    return state_of_digest(outcome)


@flow(name="take in", flow_run_name=_run_name, persist_result=False)
async def take_in(
    inbox: InboxAddress,
    source: Annotated[str, Field(description="The address of a recording in it.")],
    options: Options = _NOTHING_SAID,
    reject: Reject = False,  # noqa: FBT002 - the form in the dashboard gives it by name
) -> State[None]:
    """Transcribe one recording of a drop folder, unless that was done; `ingest` asks for this.

    Args:
        inbox: the drop folder.
        source: the recording's address.
        options: what is said of it.
        reject: move it out of the way if it is refused.
    """
    async with at_work() as batch:
        box = open_inbox(inbox, batch.workshop.s3)
        given = options.model_dump(exclude_unset=True)
        reception = Reception(batch.workshop, box, given, Settling(1))
        taking = Taking(reception, batch, reject, _log.info, is_cancelled)
        entry = await settle(box.find, source)
        order = None if entry is None else await taking.take(await settle(reception.describe, entry))
        if order is None:
            return Completed(name="Skipped", message="it is gone, or somebody else has it or had it")
        return state_of(await batch.run([order]))


@flow(name="ingest", flow_run_name=_run_name, persist_result=False)
async def ingest(
    inbox: InboxAddress,
    options: Options = _NOTHING_SAID,
    looks: Annotated[int, Field(ge=1, description="Looks in a row that must find a file unchanged.")] = 2,
    interval: Annotated[float, Field(gt=0, description="Seconds between them.")] = 5.0,
    reject: Reject = False,  # noqa: FBT002 - the form in the dashboard gives it by name
) -> State[None]:
    """Start a flow run for each recording that is new and complete in a drop folder.

    Args:
        inbox: the drop folder.
        options: what is said of all its recordings.
        looks: how many must find a file unchanged.
        interval: between two looks, in seconds.
        reject: move what is refused out of the way.
    """
    with open_tools() as workshop:
        box = open_inbox(inbox, workshop.s3)
        given = options.model_dump(exclude_unset=True)
        asked = await spread(Reception(workshop, box, given, Settling(looks)), interval, reject=reject)
    return Completed(message=f"{asked} recordings handed over")


@flow(name="verify", persist_result=False)
async def verify(
    repair: Repair = False,  # noqa: FBT002 - as above
) -> State[None]:
    """Hold all artifacts against what is recorded of them.

    Args:
        repair: build anew what is not as recorded.
    """
    with open_tools() as workshop:
        published = [line.job for line in await settle(workshop.reports.jobs) if line.job.state in _PUBLISHED]
        verified = [await settle(verify_job, workshop, job, repair=repair) for job in published]
    unsound = [each.job_id for each in verified if not each.is_sound]
    if unsound:
        return Failed(message=f"{len(unsound)} of {len(verified)} jobs are not as recorded: {unsound[:20]}")
    return Completed(message=f"{len(verified)} jobs are as recorded")


@flow(name="take up", persist_result=False)
async def take_up() -> State[None]:
    """Have done anew what a process died over: Prefect's own server does not find that."""
    with open_tools() as workshop:
        asked = await take_up_what_was_left(workshop)
    return Completed(message=f"{asked} flow runs were asked for")
