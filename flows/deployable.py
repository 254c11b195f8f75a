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

from stenoflow.flows.deployment_context import (
    is_cancelled,
    open_flow_run_context,
    runner_in_flow_run,
    state_of,
)
from stenoflow.flows.dispatch import (
    TAG,
    delete_idle_looks,
    dispatch,
    empty_queue,
    ended_look,
    recover_crashed_runs,
)
from stenoflow.flows.ingest import Claims, Moves
from stenoflow.flows.minutes import MinutesWork
from stenoflow.flows.resume import works_to_resume
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import JobKind, JobState
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.artifacts.formats import FORMATS
from stenoflow.tasks.jobs.minutes.plan import MinutesRequest
from stenoflow.tasks.jobs.speak.settings import VoiceOptions
from stenoflow.tasks.jobs.transcribe.publish import index_missing
from stenoflow.tasks.jobs.transcribe.request import request_of
from stenoflow.tasks.operations.inbox_scanner import InboxScanner, rules_of
from stenoflow.tasks.operations.retention import Retention
from stenoflow.tasks.operations.verify import verify as verify_job
from stenoflow.tasks.sources import resolve
from stenoflow.tasks.sources.file_names import display_name
from stenoflow.tasks.sources.inbox import open_inbox
from stenoflow.tasks.sources.inbox.entry import StabilityTracker
from stenoflow.tasks.sources.inbox.options import Allowable, RecordingOptions

_log = logging.getLogger(__name__)
_NOTHING_SAID = RecordingOptions()
_PUBLISHED = {JobState.COMPLETE, JobState.PARTIAL}

Address = Annotated[str, Field(description="A file, a folder, s3://bucket/key, or s3://bucket/prefix/.")]
InboxAddress = Annotated[str, Field(description="A drop folder: DIR, or s3://bucket/prefix/.")]
Repair = Annotated[bool, Field(description="Build anew what is not as recorded, without a call.")]
DoneTo = Annotated[
    str | None, Field(description="Move complete recordings there: DIR, or s3://bucket/prefix/.")
]
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
async def transcribe(source: Address, options: RecordingOptions = _NOTHING_SAID) -> State[None]:
    """Transcribe a recording, or all in a folder; what is stored already is not bought again.

    Args:
        source: where it is.
        options: what is said of it.
    """
    async with runner_in_flow_run() as runner:
        try:
            request = request_of(runner.context, options)
            found = await run_blocking(resolve, source, runner.context.s3, _log.warning)
        except StenoflowError as error:
            return Failed(name="Refused", message=str(error))
        again = _is_asked_for()
        works = [TranscribeWork(each, request, list(FORMATS), again=again) for each in found]
        return state_of(await runner.run_all(works))


@flow(name="resume", flow_run_name=_run_name, persist_result=False)
async def resume(job: Annotated[str, Field(description="A job's id.")]) -> State[None]:
    """Go on where a job stopped: only what has no answer yet is sent.

    Args:
        job: its id.
    """
    async with runner_in_flow_run() as runner:
        stored = await run_blocking(runner.context.catalog.job, job)
        if stored.kind == JobKind.REPLY:
            # Whoever asked has waited long enough; `resume` goes on, if somebody still wants it.
            await run_blocking(runner.context.catalog.claim, job, again=True)
            await run_blocking(runner.context.catalog.set_state, job, JobState.INTERRUPTED)
            return Completed(name="Skipped", message=f"stenoflow resume {job} goes on")
        works = await run_blocking(
            works_to_resume, runner.context, stored, list(FORMATS), again=_is_asked_for()
        )
        return state_of(await runner.run_all(works))


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
    voicing = None if voice is None else VoiceOptions(voice=voice, format=format)
    async with runner_in_flow_run() as runner:
        return state_of(await runner.run_all([MinutesWork(job, MinutesRequest(model, voicing))]))


@flow(name="ingest recording", flow_run_name=_run_name, persist_result=False)
async def ingest_recording(
    inbox: InboxAddress,
    source: Annotated[str, Field(description="The address of a recording in it.")],
    options: RecordingOptions = _NOTHING_SAID,
    reject: Reject = False,  # noqa: FBT002 - the form in the dashboard gives it by name
    done_to: DoneTo = None,
) -> State[None]:
    """Transcribe one recording of a drop folder, unless that was done; `ingest` asks for this.

    Args:
        inbox: the drop folder.
        source: the recording's address.
        options: what is said of it.
        reject: move it out of the way if it can never be taken.
        done_to: where it is moved to once it is complete.
    """
    async with runner_in_flow_run() as runner:
        box = open_inbox(inbox, runner.context.s3)
        given = options.model_dump(exclude_unset=True)
        # Whoever asked for this run has checked what may be given, and gives all of it.
        rules = rules_of(runner.context, given, allow=())
        scanner = InboxScanner(runner.context, box, rules, StabilityTracker(1))
        moves = Moves(_log.info, reject, done_to)
        claims = Claims(scanner, runner, list(FORMATS), moves, is_cancelled)
        entry = await run_blocking(box.find, source)
        work = None if entry is None else await claims.claim(await run_blocking(scanner.describe, entry))
        if work is None:
            return Completed(name="Skipped", message="it is gone, or somebody else has it or had it")
        return state_of(await runner.run_all([work]))


@flow(name="ingest", flow_run_name=_run_name, persist_result=False)
async def ingest(  # noqa: PLR0917 - Prefect gives them by name
    inbox: InboxAddress,
    options: RecordingOptions = _NOTHING_SAID,
    looks: Annotated[int, Field(ge=1, description="Looks in a row that must find a file unchanged.")] = 2,
    interval: Annotated[float, Field(gt=0, description="Seconds between them.")] = 5.0,
    reject: Reject = False,  # noqa: FBT002 - the form in the dashboard gives it by name
    done_to: DoneTo = None,
    *,
    allow: Annotated[
        list[Allowable] | None,
        Field(description="Options that files beside recordings may give, though they can cost more."),
    ] = None,
    queue: Annotated[str | None, Field(description="An SQS queue of the bucket's events.")] = None,
) -> State[None]:
    """Start a flow run for each recording that is new and complete in a drop folder.

    Args:
        inbox: the drop folder.
        options: what is said of all its recordings.
        looks: how many must find a file unchanged.
        interval: between two looks, in seconds.
        reject: move what can never be taken out of the way.
        done_to: where complete recordings are moved to.
        allow: options that files beside recordings may give, though they can cost more.
        queue: what it announces is taken as well, without waiting for it.
    """
    with open_flow_run_context() as context:
        box = open_inbox(inbox, context.s3)
        if done_to is not None:
            box.check_place(done_to)
        given = options.model_dump(exclude_unset=True)
        scanner = InboxScanner(context, box, rules_of(context, given, allow or ()), StabilityTracker(looks))
        moves = Moves(_log.warning, reject, done_to)
        asked = 0
        if queue is not None:
            asked += await empty_queue(scanner, queue, moves)
        asked += await dispatch(scanner, interval, moves)
    return ended_look(asked, f"{asked} recordings handed over")


@flow(name="verify", persist_result=False)
async def verify(
    repair: Repair = False,  # noqa: FBT002 - as above
) -> State[None]:
    """Hold all artifacts against what is recorded of them.

    Args:
        repair: build anew what is not as recorded.
    """
    with open_flow_run_context() as context:
        published = [
            line.job for line in await run_blocking(context.reports.jobs) if line.job.state in _PUBLISHED
        ]
        await run_blocking(index_missing, context)
        verified = [await run_blocking(verify_job, context, job, repair=repair) for job in published]
    unsound = [each.job_id for each in verified if not each.is_sound]
    if unsound:
        return Failed(message=f"{len(unsound)} of {len(verified)} jobs are not as recorded: {unsound[:20]}")
    return Completed(message=f"{len(verified)} jobs are as recorded")


@flow(name="retain", persist_result=False)
async def retain() -> State[None]:
    """Erase what is kept longer than the settings say; receipts stay."""
    erased, kept = 0, []
    with open_flow_run_context() as context:
        retention = await run_blocking(Retention, context)
        for expired in await run_blocking(lambda: list(retention.expired())):
            try:
                await run_blocking(retention.erase, expired)
                erased += 1
            except (StenoflowError, OSError) as error:
                kept.append(f"{expired.kind} of job {expired.job.id}: {error}")
    if kept:
        return Failed(message=f"{len(kept)} could not be erased: {'; '.join(kept[:3])}")
    return Completed(message=f"{erased} erased")


@flow(name="recover", persist_result=False)
async def recover() -> State[None]:
    """Have done anew what a process died over: Prefect's own server does not find that.

    Flow runs of looks that found nothing are deleted, its own among them.
    """
    with open_flow_run_context() as context:
        asked = await recover_crashed_runs(context)
    await delete_idle_looks()
    return ended_look(asked, f"{asked} flow runs were asked for")
