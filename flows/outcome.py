"""The outcome of a job of any kind: the line that `--json` prints, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stenoflow.storage.database.states import Activity, JobState, SegmentState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.calls.bills import counts_not_believed
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import EmptyTranscriptError, RefusedError
from stenoflow.tasks.transcript.timecode import seconds

COMPLETE, UNEXPECTED, USAGE, FAILED, REFUSED = 0, 1, 2, 3, 4
"""Exit codes."""
_STILL_OPEN = {JobState.INTERRUPTED, JobState.NEW, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, or a source that never had one.

    Attributes:
        details: what only its kind of job has, and the order of the JSON line's keys.
        segments: pieces of it: of sound, of text, or questions.
        calls: requests made in this run.
        reused: segments answered from stored results in this run.
        cost_micro: spent in this run; None where a price is unknown.
        artifacts: URIs by format; those of a translation as ``translation.txt`` and so on.
        error: kind and message of a failure or a refusal.
        notes: remarks for people; not in the JSON line.
    """

    status: str
    details: Details
    source: str = ""
    job: str | None = None
    recording: str | None = None
    segments: int = 0
    calls: int = 0
    reused: int = 0
    cost_micro: int | None = 0
    currency: str = "USD"
    artifacts: dict[str, str] = field(default_factory=dict)
    error: dict[str, str] | None = None
    exit_code: int = COMPLETE
    notes: tuple[str, ...] = ()

    @property
    def cost(self) -> str | None:
        """The cost in units of the currency; None where a price is unknown."""
        return None if self.cost_micro is None else show(self.cost_micro)

    @property
    def cost_text(self) -> str:
        """The cost for people."""
        return "price unknown" if self.cost is None else f"{self.cost} {self.currency}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON line of the contract as a dictionary."""
        return self.details.line(self)

    def to_json(self) -> str:
        """Write the JSON line of the contract."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class TranscriptDetails:
    """Details of a transcription.

    Attributes:
        duration: in seconds.
        missing: stretches in seconds.
        suspect: stretches without words in which perhaps somebody speaks.
        damaged: what is wrong with the recording itself; None where nothing is.
        clipped: share of the samples of speech that is clipped; None where it is too little to matter.
        minutes: the outcome of the minutes that followed; None where none did.
    """

    duration: float = 0.0
    missing: tuple[tuple[float, float], ...] = ()
    suspect: tuple[tuple[float, float], ...] = ()
    damaged: dict[str, Any] | None = None
    clipped: float | None = None
    minutes: Outcome | None = None

    def line(self, outcome: Outcome) -> dict[str, Any]:
        """Return the JSON line."""
        return {
            "job": outcome.job,
            "recording": outcome.recording,
            "source": outcome.source,
            "status": outcome.status,
            "duration": self.duration,
            "segments": outcome.segments,
            "calls": outcome.calls,
            "reused": outcome.reused,
            "cost": outcome.cost,
            "currency": outcome.currency,
            "missing": [list(stretch) for stretch in self.missing],
            **({"suspect": [list(stretch) for stretch in self.suspect]} if self.suspect else {}),
            "damaged": self.damaged,
            "clipped": self.clipped,
            "artifacts": outcome.artifacts,
            "error": outcome.error,
            **({} if self.minutes is None else {"digest": self.minutes.to_dict()}),
        }


@dataclass(frozen=True, slots=True)
class MinutesDetails:
    """Details of minutes.

    Attributes:
        of: the transcription's job.
    """

    of: str

    def line(self, outcome: Outcome) -> dict[str, Any]:
        """Return the JSON line."""
        return {
            "job": outcome.job,
            "of": self.of,
            "recording": outcome.recording,
            "source": outcome.source or None,
            "status": outcome.status,
            "segments": outcome.segments,
            "calls": outcome.calls,
            "reused": outcome.reused,
            "cost": outcome.cost,
            "currency": outcome.currency,
            "artifacts": outcome.artifacts,
            "error": outcome.error,
        }


@dataclass(frozen=True, slots=True)
class SpeechDetails:
    """Details of a spoken text.

    Attributes:
        characters: of the text.
        duration_ms: how long the speech is.
        file: where it was written to.
    """

    voice: str = ""
    characters: int = 0
    duration_ms: int = 0
    file: str | None = None

    def line(self, outcome: Outcome) -> dict[str, Any]:
        """Return the JSON line."""
        return {
            "job": outcome.job,
            "status": outcome.status,
            "voice": self.voice,
            "characters": self.characters,
            "segments": outcome.segments,
            "calls": outcome.calls,
            "reused": outcome.reused,
            "cost": outcome.cost,
            "currency": outcome.currency,
            "duration": seconds(self.duration_ms),
            "file": self.file,
            "error": outcome.error,
        }


@dataclass(frozen=True, slots=True)
class ReplyDetails:
    """Details of a reply.

    Attributes:
        of: the job that transcribed what was said.
        heard: the transcript of it.
        text: the answer.
        file: where its sound was written to.
    """

    of: str | None = None
    heard: str = ""
    text: str = ""
    steps: tuple[ReplyStep, ...] = ()
    file: str | None = None

    def line(self, outcome: Outcome) -> dict[str, Any]:
        """Return the JSON line."""
        return {
            "job": outcome.job,
            "of": self.of,
            "status": outcome.status,
            "heard": self.heard,
            "text": self.text,
            "steps": [step.to_dict() for step in self.steps],
            "calls": outcome.calls,
            "cost": outcome.cost,
            "currency": outcome.currency,
            "artifacts": outcome.artifacts,
            "file": self.file,
            "error": outcome.error,
        }


@dataclass(frozen=True, slots=True)
class ReplyStep:
    """One step of a reply: transcription, chat or speech.

    Attributes:
        model: at its provider.
        ms: how long it took.
        first_ms: until its first word or sound came, from the beginning of the answer; None: it came whole.
        calls: requests made in this run.
        reused: segments answered from stored results in this run.
        cost_micro: spent in this run; None where a price is unknown.
    """

    activity: Activity
    model: str
    ms: int
    first_ms: int | None
    calls: int
    reused: int
    cost_micro: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "step": self.activity.value,
            "model": self.model,
            "seconds": seconds(self.ms),
            "first": None if self.first_ms is None else seconds(self.first_ms),
            "calls": self.calls,
            "reused": self.reused,
            "cost": None if self.cost_micro is None else show(self.cost_micro),
        }

    def to_text(self) -> str:
        """Write it in one line for people."""
        cost = "price unknown" if self.cost_micro is None else f"{show(self.cost_micro)} USD"
        first = "" if self.first_ms is None else f" (the first after {seconds(self.first_ms):.1f} s)"
        took = f"{self.activity.value:9} {seconds(self.ms):6.1f} s{first}"
        calls = f"{self.calls} call{'' if self.calls == 1 else 's'}"
        return f"{took}, {calls}, {cost}, {self.model}"


Details = TranscriptDetails | MinutesDetails | SpeechDetails | ReplyDetails


def outcome_of_job(context: AppContext, job: Job, details: Details) -> Outcome:
    """Return the outcome of a job as it stands now, all but its artifacts and its error."""
    recording = context.catalog.recording(job.recording_id)
    segments = context.catalog.segments(job.id)
    totals = context.reports.run_totals(job.id, context.run_id)
    answered = sum(segment.state == SegmentState.DONE for segment in segments)
    return Outcome(
        status=status_of(job),
        details=details,
        source=recording.source,
        job=job.id,
        recording=recording.id,
        segments=len(segments),
        calls=totals.calls,
        reused=max(0, answered - totals.answered),
        cost_micro=None if totals.spending.unpriced else totals.spending.actual_micro,
        exit_code=_exit_code(job),
        notes=tuple(_notes_on_charges(context, job, recording.name)) if totals.calls else (),
    )


def _notes_on_charges(context: AppContext, job: Job, name: str) -> Iterator[str]:
    """Say where the API counted what cannot be, so that its invoice may differ."""
    if odd := counts_not_believed(context.reports.charges(job.id)):
        yield (
            f"{name}: for {odd} of the calls the API's own count cannot be; they are charged by what was"
            f" sent: stenoflow show {job.id} --json has both"
        )


def outcome_of_error(
    error: BaseException, details: Details, *, source: str = "", job: str | None = None
) -> Outcome:
    """Return the outcome of what ended in an error before or outside a job's own account."""
    described = describe_error(error)
    if not isinstance(error, StenoflowError):
        return Outcome(JobState.FAILED.value, details, source, job, error=described, exit_code=UNEXPECTED)
    state = JobState.REFUSED if error.exit_code == RefusedError.exit_code else JobState.FAILED
    return Outcome(
        state.value, details, source, job or error.job_id, error=described, exit_code=error.exit_code
    )


def describe_error(error: BaseException) -> dict[str, str]:
    """Return kind and message of an error, as JSON lines have them."""
    if isinstance(error, StenoflowError):
        return {"kind": error.kind, "message": str(error)}
    return {"kind": "unexpected", "message": f"{type(error).__name__}: {error}"}


def describe_job_error(job: Job, name: str | None = None) -> dict[str, str] | None:
    """Return kind and message of what a job says of itself; ``name`` stands before an interruption's."""
    if job.state == JobState.INTERRUPTED:
        before = "" if name is None else f"{name}: "
        return {
            "kind": "interrupted",
            "message": f"{before}interrupted; stenoflow resume {job.id} goes on",
        }
    if job.error_kind is None:
        return None
    return {"kind": job.error_kind, "message": job.error_message or ""}


def with_minutes(outcome: Outcome, minutes: Outcome) -> Outcome:
    """Add the minutes that followed; they count for the exit code, unless nothing was said."""
    if not isinstance(outcome.details, TranscriptDetails):
        raise TypeError(f"only a transcription has minutes, not {type(outcome.details).__name__}")
    code = gravest({outcome.exit_code, minutes.exit_code})
    if minutes.error is not None and minutes.error["kind"] == EmptyTranscriptError.kind:
        code = outcome.exit_code
    return replace(outcome, details=replace(outcome.details, minutes=minutes), exit_code=code)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return the exit code of a command over several jobs."""
    return gravest({outcome.exit_code for outcome in outcomes})


def gravest(codes: Collection[int]) -> int:
    """Return the gravest of exit codes, 3 before 4."""
    return next((code for code in (UNEXPECTED, USAGE, FAILED, REFUSED) if code in codes), COMPLETE)


def status_of(job: Job) -> str:
    """Return a job's state in the words of the contract."""
    return JobState.PARTIAL.value if job.state in _STILL_OPEN else job.state


def _exit_code(job: Job) -> int:
    if job.state == JobState.COMPLETE:
        return COMPLETE
    return UNEXPECTED if job.error_kind == StenoflowError.kind else FAILED
