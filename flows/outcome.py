"""What became of one source: the line that `--json` prints, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stenoflow.flows.minutes_outcome import MinutesOutcome
from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job, Recording
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.assembly.assemble import assemble, diarize, still_to_do
from stenoflow.tasks.assembly.settings import Speakers
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import EmptyTranscriptError
from stenoflow.tasks.transcript.integrity import Integrity
from stenoflow.tasks.transcript.timecode import seconds

_COMPLETE, _UNEXPECTED, _FAILED, _REFUSED = 0, 1, 3, 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one source.

    Attributes:
        calls: requests made in this run.
        reused: segments answered from stored results in this run.
        cost_micro: spent in this run; None where a price is unknown.
        missing: stretches in seconds.
        damaged: what is wrong with the recording itself; None where nothing is.
        clipped: share of the samples of speech that is clipped; None where it is too little to matter.
        artifacts: URIs by format; those of a translation as ``translation.txt`` and so on.
        error: kind and message, of a failure or a refusal.
        digest: what became of the minutes that followed; None: none did.
        notes: what people should know besides; not in the line of the contract.
    """

    source: str
    status: str
    job: str | None = None
    recording: str | None = None
    duration: float = 0.0
    segments: int = 0
    calls: int = 0
    reused: int = 0
    cost_micro: int | None = 0
    currency: str = "USD"
    missing: tuple[tuple[float, float], ...] = ()
    damaged: dict[str, Any] | None = None
    clipped: float | None = None
    artifacts: dict[str, str] = field(default_factory=dict)
    error: dict[str, str] | None = None
    digest: MinutesOutcome | None = None
    exit_code: int = _COMPLETE
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Write the line of the contract."""
        line: dict[str, Any] = {
            "job": self.job,
            "recording": self.recording,
            "source": self.source,
            "status": self.status,
            "duration": self.duration,
            "segments": self.segments,
            "calls": self.calls,
            "reused": self.reused,
            "cost": None if self.cost_micro is None else show(self.cost_micro),
            "currency": self.currency,
            "missing": [list(stretch) for stretch in self.missing],
            "damaged": self.damaged,
            "clipped": self.clipped,
            "artifacts": self.artifacts,
            "error": self.error,
        }
        if self.digest is not None:
            line["digest"] = self.digest.to_dict()
        return json.dumps(line, ensure_ascii=False)


def with_digest(outcome: Outcome, digest: MinutesOutcome) -> Outcome:
    """Add what became of the minutes, which counts for the exit code, unless nothing was said."""
    if digest.error is not None and digest.error["kind"] == EmptyTranscriptError.kind:
        return replace(outcome, digest=digest)
    return replace(outcome, digest=digest, exit_code=gravest({outcome.exit_code, digest.exit_code}))


def of_error(source: str, error: BaseException, job: str | None = None) -> Outcome:
    """Tell of a source that ended in an error before or outside its job's own account."""
    if not isinstance(error, StenoflowError):
        described = {"kind": "unexpected", "message": f"{type(error).__name__}: {error}"}
        return Outcome(source, JobState.FAILED.value, job, error=described, exit_code=_UNEXPECTED)
    refused = error.exit_code == _REFUSED
    return Outcome(
        source,
        (JobState.REFUSED if refused else JobState.FAILED).value,
        job or error.job_id,
        error={"kind": error.kind, "message": str(error)},
        exit_code=error.exit_code,
    )


def of_job(context: AppContext, job_id: str, run_id: str, formats: Iterable[str]) -> Outcome:
    """Tell of a job as it stands now."""
    job = context.catalog.job(job_id)
    recording = context.catalog.recording(job.recording_id)
    segments = context.catalog.segments(job_id)
    totals = context.reports.run_totals(job_id, run_id)
    answered = sum(segment.state == SegmentState.DONE for segment in segments)
    published = {artifact.name: artifact.uri for artifact in context.catalog.artifacts(job_id)}
    names = {name: published.get(f"transcript.{name}") for name in formats}
    names |= {f"translation.{name}": published.get(f"translation.{name}") for name in formats}
    return Outcome(
        source=recording.source,
        status=_status(job),
        job=job_id,
        recording=recording.id,
        duration=seconds(recording.duration_ms or 0),
        segments=len(segments),
        calls=totals.calls,
        reused=max(0, answered - totals.answered),
        cost_micro=None if totals.spending.unpriced else totals.spending.actual_micro,
        missing=_missing(context, job),
        damaged=Integrity.from_stored(job.lost_ms, job.damage).to_json(),
        clipped=Integrity.from_stored(job.lost_ms, job.damage).clipped or None,
        artifacts={name: uri for name, uri in names.items() if uri} if _has_artifacts(job) else {},
        error=_error(job, recording),
        exit_code=_exit_code(job),
        notes=tuple(_notes(context, job, recording)),
    )


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return the exit code of a command over several sources."""
    return gravest({outcome.exit_code for outcome in outcomes})


def gravest(codes: Collection[int]) -> int:
    """Return the gravest of exit codes, 3 before 4."""
    for code in (_UNEXPECTED, 2, _FAILED, _REFUSED):
        if code in codes:
            return code
    return _COMPLETE


def _exit_code(job: Job) -> int:
    if job.state == JobState.COMPLETE:
        return _COMPLETE
    return _UNEXPECTED if job.error_kind == StenoflowError.kind else _FAILED


def _status(job: Job) -> str:
    """Put a job's state in the words of the contract."""
    if job.state in {JobState.INTERRUPTED, JobState.NEW, JobState.RUNNING}:
        return JobState.PARTIAL.value
    return job.state


def _has_artifacts(job: Job) -> bool:
    return job.state in {JobState.COMPLETE, JobState.PARTIAL}


def _missing(context: AppContext, job: Job) -> tuple[tuple[float, float], ...]:
    segments = context.catalog.segments(job.id)
    if job.state == JobState.PARTIAL:
        missing = assemble(context, job, segments).missing
    elif job.state == JobState.INTERRUPTED:
        duration_ms = context.catalog.recording(job.recording_id).duration_ms or 0
        missing = still_to_do(job.origin_ms, duration_ms, segments)
    else:
        return ()
    return tuple((seconds(each.start_ms), seconds(each.end_ms)) for each in missing)


def _notes(context: AppContext, job: Job, recording: Recording) -> Iterator[str]:
    """Say that a recording is clipped, and where speakers could not be told apart as was asked."""
    if clipped := Integrity.from_stored(job.lost_ms, job.damage).clipped:
        yield (
            f"{recording.name}: {clipped:.1%} of the samples of speech are clipped, and words may be"
            " misheard; record it softer"
        )
    if job.settings.get("speakers") != Speakers.MODEL or not _has_artifacts(job):
        return
    told = diarize(context, job, context.catalog.segments(job.id))
    if not told.speakers:
        yield f"{recording.name}: nobody was told apart"
    elif not told.throughout:
        yield f"{recording.name}: some speakers are told apart within one segment only: {told.speakers[-1]}"
    for label in sorted((job.speakers or {}).keys() - set(told.speakers)):
        yield f"{recording.name}: no speaker is called {label}; there are {', '.join(told.speakers)}"


def _error(job: Job, recording: Recording) -> dict[str, str] | None:
    if job.state == JobState.INTERRUPTED:
        message = f"{recording.name}: interrupted; stenoflow resume {job.id} goes on"
        return {"kind": "interrupted", "message": message}
    if job.error_kind is None:
        return None
    return {"kind": job.error_kind, "message": job.error_message or ""}
