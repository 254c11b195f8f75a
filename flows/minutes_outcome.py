"""What became of one digest: the line that `--json` prints, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stenoflow.storage.database.states import JobState, SegmentState
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError

ENDED = {JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.REFUSED}
"""States that a digest stays in until somebody asks for more."""


@dataclass(frozen=True, slots=True)
class MinutesOutcome:
    """What became of one digest.

    Attributes:
        of: the transcription's job.
        calls: requests made in this run.
        reused: questions answered from stored results in this run.
        cost_micro: spent in this run; None where a price is unknown.
        artifacts: URIs by ending.
        error: kind and message, of a failure or a refusal.
    """

    of: str
    status: str
    job: str | None = None
    recording: str | None = None
    source: str | None = None
    segments: int = 0
    calls: int = 0
    reused: int = 0
    cost_micro: int | None = 0
    currency: str = "USD"
    artifacts: dict[str, str] = field(default_factory=dict)
    error: dict[str, str] | None = None
    exit_code: int = 0

    def naming(self, endings: Sequence[str] | None) -> MinutesOutcome:
        """Return it with these of the artifacts only; None: all."""
        if endings is None:
            return self
        return replace(
            self, artifacts={name: self.artifacts[name] for name in endings if name in self.artifacts}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "job": self.job,
            "of": self.of,
            "recording": self.recording,
            "source": self.source,
            "status": self.status,
            "segments": self.segments,
            "calls": self.calls,
            "reused": self.reused,
            "cost": None if self.cost_micro is None else show(self.cost_micro),
            "currency": self.currency,
            "artifacts": self.artifacts,
            "error": self.error,
        }

    def to_json(self) -> str:
        """Write the line."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


def outcome_of_minutes(context: AppContext, job_id: str, run_id: str) -> MinutesOutcome:
    """Tell of a digest as it stands now."""
    job = context.catalog.job(job_id)
    recording = context.catalog.recording(job.recording_id)
    segments = context.catalog.segments(job_id)
    totals = context.reports.run_totals(job_id, run_id)
    answered = sum(segment.state == SegmentState.DONE for segment in segments)
    artifacts = _artifacts(context, job) if job.state in {JobState.COMPLETE, JobState.PARTIAL} else {}
    return MinutesOutcome(
        of=job.settings["of"],
        status=job.state if job.state in ENDED else JobState.PARTIAL.value,
        job=job_id,
        recording=recording.id,
        source=recording.source,
        segments=len(segments),
        calls=totals.calls,
        reused=max(0, answered - totals.answered),
        cost_micro=None if totals.spending.unpriced else totals.spending.actual_micro,
        artifacts=artifacts,
        error=_error(job),
        exit_code=_exit_code(job),
    )


def _artifacts(context: AppContext, job: Job) -> dict[str, str]:
    """Return the addresses of the minutes by ending, with that of the page that shows them."""
    ours = {each.name: each.uri for each in context.catalog.artifacts(job.id)}
    theirs = {each.name: each.uri for each in context.catalog.artifacts(job.settings["of"])}
    page = theirs.get("transcript.html")
    found = {name.removeprefix("digest."): uri for name, uri in ours.items() if name.startswith("digest.")}
    return found | ({"html": page} if page else {})


def refused(of: str, error: StenoflowError) -> MinutesOutcome:
    """Tell of a digest that was not even opened."""
    is_refused = error.exit_code == RefusedError.exit_code
    return MinutesOutcome(
        of,
        (JobState.REFUSED if is_refused else JobState.FAILED).value,
        error.job_id,
        error={"kind": error.kind, "message": str(error)},
        exit_code=error.exit_code,
    )


def _error(job: Job) -> dict[str, str] | None:
    if job.state == JobState.INTERRUPTED:
        return {"kind": "interrupted", "message": f"interrupted; stenoflow resume {job.id} goes on"}
    if job.error_kind is None:
        return None
    return {"kind": job.error_kind, "message": job.error_message or ""}


def _exit_code(job: Job) -> int:
    if job.state == JobState.COMPLETE:
        return 0
    return 1 if job.error_kind == StenoflowError.kind else 3
