"""The main job, from a recording to its artifacts, top to bottom.

`TranscribeWork` is what the runner runs: `open` prepares (fetch, hash, probe, refuse), the runner claims the
job, `work` transcribes and publishes, `outcome` tells how it ended, and `follow_up` makes minutes.
`transcribe_recording` is that work: segment while decoding, transcribe each segment as it comes (beside it
tell the voices apart, where that is asked for), stitch and publish.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from stenoflow.flows.minutes import MinutesWork
from stenoflow.flows.outcome import (
    Outcome,
    TranscriptDetails,
    describe_job_error,
    outcome_of_error,
    outcome_of_job,
    with_minutes,
)
from stenoflow.flows.run import Run, Segments, SegmentStep, telling_voices
from stenoflow.flows.runner import Runner, Work
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import PUBLISHED, JobState
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.assembly.assemble import are_speakers_told, assemble, diarize, still_to_do
from stenoflow.tasks.assembly.job_settings import JobSettings, Speakers
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.plan import MinutesRequest
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob, prepare
from stenoflow.tasks.jobs.transcribe.publish import publish
from stenoflow.tasks.jobs.transcribe.request import TranscribeRequest
from stenoflow.tasks.operations.verify import make_up
from stenoflow.tasks.sources import Source
from stenoflow.tasks.transcript.coverage import Integrity
from stenoflow.tasks.transcript.timecode import seconds
from stenoflow.tasks.transcript.types import Stretch


@dataclass(slots=True)
class TranscribeWork(Work):
    """A source to be transcribed.

    Attributes:
        formats: which artifacts the outcome names.
        refused: why it is refused before anybody looks at it; None: it is not.
        ended: told of its end before anybody else; returns the outcome with what is to be added.
        told: what was announced of its failure when it was tried before.
    """

    source: Source
    request: TranscribeRequest
    formats: Sequence[str]
    again: bool = False
    refused: StenoflowError | None = None
    ended: Callable[[Outcome], Awaitable[Outcome]] | None = None
    told: str | None = None
    name: str = field(init=False)
    _prepared: PreparedJob | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.name = self.source.name

    async def open(self, runner: Runner) -> Job:
        """Prepare the recording: fetch, hash, probe, refuse, or open its job."""
        if self.refused is not None:
            raise self.refused
        self._prepared = await run_blocking(
            prepare, runner.context, self.source, self.request, runner.active.check_interrupted
        )
        return self._prepared.job

    def is_done(self, context: AppContext, job: Job) -> bool:
        """Tell whether it was transcribed before; makes formats that were asked for since."""
        if self._prepared is None or self._prepared.stream is not None:
            return False
        make_up(context, job)
        return True

    def duration_ms(self, context: AppContext, job: Job) -> int:
        """Return how long the recording is; blocks."""
        return super().duration_ms(context, job) if self._prepared is None else self._prepared.duration_ms

    async def work(self, run: Run, job: Job) -> None:
        """Transcribe and publish it: by `transcribe_recording`, plainly or inside runs of Prefect's."""
        if self._prepared is None:
            raise RuntimeError(f"job {job.id} was not opened")
        await run.orchestrate(run, self._prepared, transcribe_recording)

    def outcome(self, context: AppContext, job: Job | None, error: BaseException | None) -> Outcome:
        """Return what the job says of itself; of the error, where it never had one or never began."""
        if job is None:
            why = error or StenoflowError("nothing")
            return outcome_of_error(why, TranscriptDetails(), source=self.source.uri)
        with context.database.reading():
            now = context.catalog.job(job.id)
            if error is not None and now.state in {JobState.NEW, JobState.RUNNING, JobState.COMPLETE}:
                # The job does not say so: another run has it, or it was complete before.
                return outcome_of_error(error, TranscriptDetails(), source=self.source.uri, job=job.id)
            return transcript_outcome(context, now, self.formats)

    async def follow_up(self, runner: Runner, outcome: Outcome) -> Outcome:
        """Make minutes of it, where that is asked for; they do not take it back."""
        outcome = await self._followed_by_minutes(runner, outcome)
        return outcome if self.ended is None else await self.ended(outcome)

    async def _followed_by_minutes(self, runner: Runner, outcome: Outcome) -> Outcome:
        asked = self.request
        if not asked.digest or outcome.job is None or outcome.status not in PUBLISHED or runner.interrupted:
            return outcome
        request = MinutesRequest(tag=asked.tag, budget_micro=asked.budget_micro)
        return with_minutes(outcome, await runner.run_quietly(MinutesWork(outcome.job, request)))


async def transcribe_recording(
    run: Run, prepared: PreparedJob, transcribe_segment: SegmentStep = Segments.transcribe
) -> JobState:
    """Transcribe a recording whose job is claimed, and publish it; its state says how that ended."""
    catalog, job_id = run.context.catalog, prepared.job.id
    async with Segments.open(run, prepared) as segments, telling_voices(run, prepared) as voices_told:
        broken = await _transcribe_segments(segments, transcribe_segment)
        if broken is None:
            await voices_told()
        if run.interrupted:
            await run_blocking(catalog.set_state, job_id, JobState.INTERRUPTED)
            return JobState.INTERRUPTED
        if broken is not None:
            await run_blocking(catalog.set_state, job_id, JobState.FAILED, broken)
            return JobState.FAILED
        return await run_blocking(publish, run.context, job_id)


async def _transcribe_segments(segments: Segments, transcribe_segment: SegmentStep) -> StenoflowError | None:
    """Transcribe the segments as they are made, and wait for all of them.

    A segment that fails for a reason of its own is set aside, which its row says; the others go on.

    Returns:
        What ended the segmenting, if anything did.
    """
    begun: list[asyncio.Future[None]] = []
    broken: StenoflowError | None = None
    try:
        async for index in segments:
            begun += [asyncio.ensure_future(transcribe_segment(segments, index))]
    except StenoflowError as error:
        broken = error
    for ended in await asyncio.gather(*begun, return_exceptions=True):
        if isinstance(ended, BaseException) and not isinstance(ended, StenoflowError):
            raise ended
    return broken


def transcript_outcome(context: AppContext, job: Job, formats: Iterable[str]) -> Outcome:
    """Return the outcome of a transcription as it stands now; blocks."""
    recording = context.catalog.recording(job.recording_id)
    integrity = Integrity.from_stored(job.lost_ms, job.damage)
    published = {artifact.name: artifact.uri for artifact in context.catalog.artifacts(job.id)}
    names = {name: published.get(f"transcript.{name}") for name in formats}
    names |= {f"translation.{name}": published.get(f"translation.{name}") for name in formats}
    missing, suspect = _lacking(context, job)
    details = TranscriptDetails(
        duration=seconds(recording.duration_ms or 0),
        missing=missing,
        suspect=suspect,
        damaged=integrity.to_json(),
        clipped=integrity.clipped or None,
    )
    outcome = outcome_of_job(context, job, details)
    return replace(
        outcome,
        artifacts={name: uri for name, uri in names.items() if uri} if job.state in PUBLISHED else {},
        error=describe_job_error(job, recording.name),
        notes=(*outcome.notes, *_notes(context, job, recording)),
    )


_InSeconds = tuple[tuple[float, float], ...]


def _lacking(context: AppContext, job: Job) -> tuple[_InSeconds, _InSeconds]:
    """Return the stretches without words: in which somebody speaks, and in which perhaps somebody does."""
    segments = context.catalog.segments(job.id)
    suspect: tuple[Stretch, ...] = ()
    if job.state == JobState.PARTIAL:
        transcript = assemble(context, job, segments)
        missing, suspect = transcript.missing, transcript.suspect
    elif job.state == JobState.INTERRUPTED:
        duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
        missing = still_to_do(job.origin_ms, duration_ms, segments)
    else:
        return (), ()
    return _in_seconds(missing), _in_seconds(suspect)


def _in_seconds(stretches: Iterable[Stretch]) -> _InSeconds:
    return tuple((seconds(each.start_ms), seconds(each.end_ms)) for each in stretches)


def _notes(context: AppContext, job: Job, recording: Recording) -> Iterator[str]:
    """Say that a recording is clipped, and where speakers could not be told apart as was asked."""
    if clipped := Integrity.from_stored(job.lost_ms, job.damage).clipped:
        yield (
            f"{recording.name}: {clipped:.1%} of the samples of speech are clipped, and words may be"
            " misheard; record it softer"
        )
    by = job.settings.get("speakers")
    if by not in {Speakers.MODEL, Speakers.VOICES} or job.state not in PUBLISHED:
        return
    if by == Speakers.VOICES and not are_speakers_told(context, JobSettings.from_dict(job.settings)):
        return
    diarized = diarize(context, job, context.catalog.segments(job.id))
    if not diarized.speakers:
        yield f"{recording.name}: nobody was told apart"
    elif not diarized.throughout:
        yield (
            f"{recording.name}: some speakers are told apart within one segment only: {diarized.speakers[-1]}"
        )
    for label in sorted((job.speakers or {}).keys() - set(diarized.speakers)):
        yield f"{recording.name}: no speaker is called {label}; there are {', '.join(diarized.speakers)}"
