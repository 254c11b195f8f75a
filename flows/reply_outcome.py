"""What became of one reply, step by step: the line that `--json` prints, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stenoflow.storage.database.states import Activity, ChargeKind, JobState, SegmentState
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import RefusedError
from stenoflow.tasks.jobs.reply.plan import said_in
from stenoflow.tasks.jobs.reply.publish import answer_of
from stenoflow.tasks.transcript.timecode import seconds


@dataclass(frozen=True, slots=True)
class ReplyStep:
    """One of hearing, chat and speaking.

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

    def told(self) -> str:
        """Tell it in one line, for people."""
        cost = "price unknown" if self.cost_micro is None else f"{show(self.cost_micro)} USD"
        first = "" if self.first_ms is None else f" (the first after {seconds(self.first_ms):.1f} s)"
        took = f"{self.activity.value:9} {seconds(self.ms):6.1f} s{first}"
        return f"{took}, {self.calls} calls, {cost}, {self.model}"


def step_of(
    context: AppContext, job_id: str, activity: Activity, ms: int, first_ms: int | None = None
) -> ReplyStep:
    """Tell what one step took in this run."""
    job = context.catalog.job(job_id)
    mine = [
        each
        for each in context.reports.attempts(job_id)
        if each.activity == activity and each.run_id == context.run_id
    ]
    ids = {each.id for each in mine}
    actual = [
        charge.amount_micro
        for charge in context.reports.charges(job_id)
        if charge.kind == ChargeKind.ACTUAL and charge.attempt_id in ids
    ]
    known = [amount for amount in actual if amount is not None]
    done = [
        each
        for each in context.catalog.segments(job_id)
        if each.activity == activity and each.state == SegmentState.DONE
    ]
    answered = {each.segment_index for each in mine}
    model = job.settings["speech"]["model"] if activity is Activity.SPEECH else job.settings["model"]
    return ReplyStep(
        activity,
        f"{model} at {job.settings['provider']}",
        ms,
        first_ms,
        len(mine),
        sum(each.index not in answered for each in done),
        sum(known) if len(known) == len(actual) else None,
    )


@dataclass(frozen=True, slots=True)
class ReplyOutcome:
    """What became of one reply.

    Attributes:
        of: the job that heard what was said.
        heard: what that was.
        text: the answer.
        artifacts: URIs by ending.
    """

    status: str
    job: str | None = None
    of: str | None = None
    heard: str = ""
    text: str = ""
    steps: tuple[ReplyStep, ...] = ()
    artifacts: dict[str, str] = field(default_factory=dict)
    file: str | None = None
    error: dict[str, str] | None = None
    exit_code: int = 0

    @property
    def cost_micro(self) -> int | None:
        """Spent in this run; None where a price is unknown."""
        known = [step.cost_micro for step in self.steps if step.cost_micro is not None]
        return sum(known) if len(known) == len(self.steps) else None

    def to_json(self) -> str:
        """Write the line."""
        line: dict[str, Any] = {
            "job": self.job,
            "of": self.of,
            "status": self.status,
            "heard": self.heard,
            "text": self.text,
            "steps": [step.to_dict() for step in self.steps],
            "calls": sum(step.calls for step in self.steps),
            "cost": None if self.cost_micro is None else show(self.cost_micro),
            "currency": "USD",
            "artifacts": self.artifacts,
            "file": self.file,
            "error": self.error,
        }
        return json.dumps(line, ensure_ascii=False)


def outcome_of(
    context: AppContext, job_id: str | None, steps: Sequence[ReplyStep], error: StenoflowError | None = None
) -> ReplyOutcome:
    """Tell of a reply as it stands now, or of one that was not even begun."""
    described = None if error is None else {"kind": error.kind, "message": str(error)}
    code = 0 if error is None else error.exit_code
    if job_id is None:
        refused = code == RefusedError.exit_code
        status = (JobState.REFUSED if refused else JobState.FAILED).value
        return ReplyOutcome(status, None if error is None else error.job_id, error=described, exit_code=code)
    job = context.catalog.job(job_id)
    artifacts = {each.name: each.uri for each in context.catalog.artifacts(job_id)}
    is_whole = job.state == JobState.COMPLETE
    return ReplyOutcome(
        status=job.state if is_whole else _status(job.state),
        job=job_id,
        of=job.settings["of"],
        heard=said_in(context, context.catalog.job(job.settings["of"])),
        text=answer_of(context, job) or "",
        steps=tuple(steps),
        artifacts={
            name.removeprefix("reply."): uri
            for name, uri in artifacts.items()
            if is_whole and name.startswith("reply.")
        },
        error=described,
        exit_code=code,
    )


def _status(state: str) -> str:
    """Put a job's state in the words of the contract."""
    open_ = {JobState.INTERRUPTED, JobState.NEW, JobState.RUNNING}
    return JobState.PARTIAL.value if state in open_ else state
