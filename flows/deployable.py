"""The flows that Prefect starts by itself: from the dashboard, on a schedule, on any worker.

Their parameters are ids, addresses and options: they stand in the dashboard for everybody to read. The forms
there show what the docstrings say of each.
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
    Stint,
    asking_for_another,
    delete_unneeded,
    dispatch,
    empty_queue,
    ended_look,
    recover_and_tidy,
    recover_in_turn,
)
from stenoflow.flows.ingest import Claims, Moves
from stenoflow.flows.minutes import MinutesWork
from stenoflow.flows.outcome import Outcome
from stenoflow.flows.resume import works_to_resume, works_to_translate
from stenoflow.flows.transcribe import TranscribeWork
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import PUBLISHED, JobKind, JobState
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
from stenoflow.tasks.sources.inbox.entry import INTERVAL_S, LOOKS, StabilityTracker
from stenoflow.tasks.sources.inbox.options import Allowable, RecordingOptions

_log = logging.getLogger(__name__)
_NOTHING_SAID = RecordingOptions()


def _run_name() -> str:
    """Name a flow run after what it works on."""
    given = flow_run.parameters
    what = next((given[name] for name in ("source", "inbox", "job") if given.get(name)), "")
    return display_name(unquote(str(what)))


def _is_asked_for() -> bool:
    """Tell whether a person asked for this flow run: what was set aside is tried again for nobody else."""
    return TAG not in flow_run.tags


@flow(name="transcribe", flow_run_name=_run_name, persist_result=False)
async def transcribe(source: str, options: RecordingOptions = _NOTHING_SAID) -> State[None]:
    """Transcribe a recording, or all in a folder; what is stored already is not bought again.

    Args:
        source: A file, a folder, s3://bucket/key, or s3://bucket/prefix/.
        options: What is said of it, or of all of them.
    """
    async with runner_in_flow_run() as runner:
        try:
            request = request_of(runner.context, options)
            found = await run_blocking(resolve, source, runner.context.s3, _log.warning)
        except StenoflowError as error:
            return Failed(name="Refused", message=str(error))
        again = _is_asked_for()
        works = [TranscribeWork(each, request, list(FORMATS), again=again) for each in found]
        return state_of(runner.context.settings, await runner.run_all(works))


@flow(name="resume", flow_run_name=_run_name, persist_result=False)
async def resume(job: str) -> State[None]:
    """Go on where a job stopped: only what has no answer yet is sent.

    Args:
        job: A job's id.
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
        return state_of(runner.context.settings, await runner.run_all(works))


@flow(name="digest", flow_run_name=_run_name, persist_result=False)
async def digest(
    job: str,
    model: str | None = None,
    voice: str | None = None,
    format: str = "mp3",  # noqa: A002
) -> State[None]:
    """Make minutes of a transcript; what is stored already is not bought again.

    Args:
        job: The id of a transcription's job.
        model: The chat model that writes them. Default: the setting's.
        voice: Who reads them aloud; none: nobody.
        format: Of the sound: mp3, opus, …
    """
    voicing = None if voice is None else VoiceOptions(voice=voice, format=format)
    async with runner_in_flow_run() as runner:
        return state_of(
            runner.context.settings, await runner.run_all([MinutesWork(job, MinutesRequest(model, voicing))])
        )


@flow(name="translate", flow_run_name=_run_name, persist_result=False)
async def translate(job: str) -> State[None]:
    """Make an English transcript as well; what is transcribed is not bought again.

    Args:
        job: The id of a transcription's job.
    """
    async with runner_in_flow_run() as runner:
        try:
            works = await run_blocking(works_to_translate, runner.context, job, list(FORMATS))
        except StenoflowError as error:
            return Failed(name="Refused", message=str(error))
        return state_of(runner.context.settings, await runner.run_all(works))


@flow(name="ingest recording", flow_run_name=_run_name, persist_result=False)
async def ingest_recording(
    inbox: str,
    source: str,
    options: RecordingOptions = _NOTHING_SAID,
    reject: bool = False,  # noqa: FBT001, FBT002 - the form in the dashboard gives it by name
    done_to: str | None = None,
) -> State[None]:
    """Transcribe one recording of a drop folder, unless that was done; `ingest` asks for this.

    Args:
        inbox: A drop folder: DIR, or s3://bucket/prefix/.
        source: The address of a recording in it.
        options: What is said of it.
        reject: Move it to rejected/ beside the inbox if it can never be taken.
        done_to: Move it there once it is complete: DIR, or s3://bucket/prefix/.
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
        return state_of(runner.context.settings, await runner.run_all([work]))


def _many_name() -> str:
    given = flow_run.parameters
    return f"{given['recordings']} recordings of {display_name(unquote(given['inbox']))}"


@flow(name="ingest recordings", flow_run_name=_many_name, persist_result=False)
async def ingest_recordings(
    inbox: str,
    batch: str,
    recordings: int,  # noqa: ARG001 - names the run
    *,
    options: RecordingOptions = _NOTHING_SAID,
    reject: bool = False,
    done_to: str | None = None,
    allow: list[Allowable] | None = None,
) -> State[None]:
    """Transcribe recordings of a drop folder until none waits, beside flow runs that do the same.

    `ingest` asks for several of this where many recordings wait: each is a task run of whichever takes it.
    Once its first is complete, it asks for another; after some ten minutes it ends where other work waits for
    its place, so that this comes to its turn.

    Args:
        inbox: A drop folder: DIR, or s3://bucket/prefix/.
        batch: The key under which they wait in the database.
        recordings: How many there were.
        options: What is said of all recordings of the inbox.
        reject: Move what can never be taken to rejected/ beside the inbox.
        done_to: Move complete recordings there: DIR, or s3://bucket/prefix/.
        allow: Options that files beside recordings may give, though they can cost more.
    """
    outcomes: list[Outcome] = []
    async with runner_in_flow_run(of_many=True) as runner:
        rules = rules_of(runner.context, options.model_dump(exclude_unset=True), allow or ())
        box = open_inbox(inbox, runner.context.s3)
        scanner = InboxScanner(runner.context, box, rules, StabilityTracker(1))
        claims = Claims(scanner, runner, list(FORMATS), Moves(_log.info, reject, done_to), is_cancelled)
        stint = Stint(flow_run.id)
        async with asking_for_another(runner.context.arrivals, batch, flow_run.id) as note:

            def told(outcome: Outcome) -> None:
                outcomes.append(outcome)
                note(outcome)

            await runner.follow(claims.waiting(batch, stint.is_over), told)
        if not runner.is_cut_off:
            # What could not be taken, a later look finds.
            goes_on = stint.has_ended and await run_blocking(runner.context.arrivals.has_waiting, batch)
            if not goes_on:
                await delete_unneeded(batch)
    if not outcomes:
        return Completed(name="Skipped", message="others have all of them, or had them")
    return state_of(runner.context.settings, outcomes)


@flow(name="ingest", flow_run_name=_run_name, persist_result=False)
async def ingest(  # noqa: PLR0917 - Prefect gives them by name
    inbox: str,
    options: RecordingOptions = _NOTHING_SAID,
    looks: Annotated[int, Field(ge=1)] = LOOKS,
    interval: Annotated[float, Field(gt=0)] = INTERVAL_S,
    reject: bool = False,  # noqa: FBT001, FBT002 - the form in the dashboard gives it by name
    done_to: str | None = None,
    *,
    allow: list[Allowable] | None = None,
    queue: str | None = None,
) -> State[None]:
    """Start flow runs for what is new and complete in a drop folder: one a recording, fewer where it is much.

    Args:
        inbox: A drop folder: DIR, or s3://bucket/prefix/.
        options: What is said of all its recordings.
        looks: How many looks in a row must find a file unchanged.
        interval: Seconds between two looks.
        reject: Move what can never be taken to rejected/ beside the inbox.
        done_to: Move complete recordings there: DIR, or s3://bucket/prefix/.
        allow: Options that files beside recordings may give, though they can cost more.
        queue: An SQS queue of the bucket's events; what it announces is taken too, without waiting for it.
    """
    with open_flow_run_context() as context:
        asked = 0
        failed: State[None] | None = None
        try:
            box = open_inbox(inbox, context.s3)
            if done_to is not None:
                box.check_place(done_to)
            given = options.model_dump(exclude_unset=True)
            rules = rules_of(context, given, allow or ())
            scanner = InboxScanner(context, box, rules, StabilityTracker(looks))
            moves = Moves(_log.warning, reject, done_to)
            if queue is not None:
                asked += await empty_queue(scanner, queue, moves)
            asked += await dispatch(scanner, interval, moves)
        except StenoflowError as error:
            failed = Failed(message=str(error))
        await recover_in_turn(context)
    return failed or ended_look(asked, f"{asked} recordings handed over")


@flow(name="verify", flow_run_name="verify", persist_result=False)
async def verify(
    repair: bool = False,  # noqa: FBT001, FBT002 - as above
) -> State[None]:
    """Hold all artifacts against what is recorded of them.

    Args:
        repair: Build anew what is not as recorded, without a call.
    """
    with open_flow_run_context() as context:
        published = [
            line.job for line in await run_blocking(context.reports.jobs) if line.job.state in PUBLISHED
        ]
        await run_blocking(index_missing, context)
        verified = [await run_blocking(verify_job, context, job, repair=repair) for job in published]
    unsound = [each.job_id for each in verified if not each.is_sound]
    if unsound:
        return Failed(message=f"{len(unsound)} of {len(verified)} jobs are not as recorded: {unsound[:20]}")
    return Completed(message=f"{len(verified)} jobs are as recorded")


@flow(name="retain", flow_run_name="retain", persist_result=False)
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


@flow(name="recover", flow_run_name="recover", persist_result=False)
async def recover() -> State[None]:
    """Have done anew what a process died over: Prefect's own server does not find that.

    Flow runs that are alive do so each minute; this is for when none is. Flow runs of looks that found
    nothing are deleted, its own among them.
    """
    with open_flow_run_context() as context:
        asked = await recover_and_tidy(context)
    return ended_look(asked, f"{asked} flow runs were asked for")
