"""What became of a text that was to be spoken: the line that `--json` prints, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job, Segment
from stenoflow.storage.errors import StenoflowError, StorageError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.jobs.speak.plan import text_of
from stenoflow.tasks.jobs.speak.publish import duration_of
from stenoflow.tasks.transcript.timecode import clock, seconds

_COMPLETE, _FAILED = 0, 3


@dataclass(frozen=True, slots=True)
class SpeechOutcome:
    """What became of one text.

    Attributes:
        voice: of its job.
        characters: of the text.
        segments: pieces that it was cut into.
        calls: requests made in this run.
        reused: pieces answered from stored results in this run.
        cost_micro: spent in this run; None where the price is unknown.
        duration_ms: how long the speech is.
        file: where it was written to.
    """

    status: str
    job: str | None = None
    voice: str = ""
    characters: int = 0
    segments: int = 0
    calls: int = 0
    reused: int = 0
    cost_micro: int | None = 0
    currency: str = "USD"
    duration_ms: int = 0
    file: str | None = None
    error: dict[str, str] | None = None
    exit_code: int = _COMPLETE

    def to_json(self) -> str:
        """Write the line of the contract."""
        line: dict[str, Any] = {
            "job": self.job,
            "status": self.status,
            "voice": self.voice,
            "characters": self.characters,
            "segments": self.segments,
            "calls": self.calls,
            "reused": self.reused,
            "cost": None if self.cost_micro is None else show(self.cost_micro),
            "currency": self.currency,
            "duration": seconds(self.duration_ms),
            "file": self.file,
            "error": self.error,
        }
        return json.dumps(line, ensure_ascii=False)

    def told(self) -> str:
        """Tell it in one line, for people."""
        if self.job is None:
            return f"{self.status}: {(self.error or {}).get('message', '')}"
        cost = "price unknown" if self.cost_micro is None else f"{show(self.cost_micro)} {self.currency}"
        return (
            f"{self.file or 'not written'}: {self.status}, {clock(self.duration_ms)}, {self.voice}, "
            f"{self.characters:,} characters in {self.segments} pieces, {self.calls} calls, "
            f"{self.reused} reused, {cost}, job {self.job}"
        )


def refusal(error: BaseException | None) -> SpeechOutcome:
    """Tell of a text that never had a job."""
    exit_code = _code_of(error)
    status = JobState.REFUSED if exit_code == RefusedError.exit_code else JobState.FAILED
    told = None if error is None else _described(error)
    return SpeechOutcome(status.value, error=told, exit_code=exit_code)


def outcome_of(
    context: AppContext, job_id: str | None, file: Path | str | None, error: BaseException | None = None
) -> SpeechOutcome:
    """Tell of a job as it stands now, or of a text that never had one."""
    if job_id is None:
        return refusal(error)
    told = None if error is None else _described(error)
    exit_code = _code_of(error)
    job = context.catalog.job(job_id)
    segments = context.catalog.segments(job_id)
    totals = context.reports.run_totals(job_id, context.run_id)
    done = sum(segment.state == SegmentState.DONE for segment in segments)
    spent = bool(done) or totals.calls > 0
    return SpeechOutcome(
        status=_status(job.state),
        job=job_id,
        voice=job.settings["voice"],
        characters=_characters(context, job, segments),
        segments=len(segments),
        calls=totals.calls,
        reused=max(0, done - totals.answered),
        cost_micro=None if totals.spending.unpriced else totals.spending.actual_micro,
        duration_ms=duration_of(job) if error is None else 0,
        file=None if file is None else str(file),
        error=told,
        # Where the budget ends midway, something was done.
        exit_code=_FAILED if exit_code == RefusedError.exit_code and spent else exit_code,
    )


def _characters(context: AppContext, job: Job, segments: Sequence[Segment]) -> int:
    """Return how long a text is; as far as it was cut, where the store that has it is away."""
    try:
        return len(text_of(context, job))
    except StorageError:
        return max((segment.end_sample for segment in segments), default=0)


def _code_of(error: BaseException | None) -> int:
    if error is None:
        return _COMPLETE
    return error.exit_code if isinstance(error, StenoflowError) else StenoflowError.exit_code


def _status(state: str) -> str:
    """Put a job's state in the words of the contract."""
    if state in {JobState.INTERRUPTED, JobState.NEW, JobState.RUNNING}:
        return JobState.PARTIAL.value
    return state


def _described(error: BaseException) -> dict[str, str]:
    if isinstance(error, StenoflowError):
        return {"kind": error.kind, "message": str(error)}
    return {"kind": "unexpected", "message": f"{type(error).__name__}: {error}"}
