"""A job's account by segment: what each is, how often it was asked for, and what it cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stenoflow.storage.database.states import ChargeKind
from stenoflow.tasks.billing.amounts import show
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds


def segment_rows(context: AppContext, job_id: str) -> list[dict[str, Any]]:
    """Return a row a segment, for people to read: seconds sent, cost in the charges' currency, requests."""
    job = context.catalog.job(job_id)
    attempts = context.reports.attempts(job_id)
    segment_of = {attempt.id: attempt.segment_index for attempt in attempts}
    requests = Counter(segment_of.values())
    cost: Counter[int] = Counter()
    for charge in context.reports.charges(job_id):
        if charge.kind == ChargeKind.ACTUAL:
            cost[segment_of[charge.attempt_id]] += charge.amount_micro or 0
    return [
        {
            "segment": segment.index,
            "from": clock(job.origin_ms + samples_to_ms(segment.start_sample)),
            "to": clock(job.origin_ms + samples_to_ms(segment.end_sample)),
            "state": segment.state,
            "seconds sent": seconds(Excerpt(segment.spans).duration_ms) if segment.speech else 0.0,
            "cost": show(cost[segment.index]),
            "requests": requests[segment.index],
            "remark": segment.error_message or "",
        }
        for segment in context.catalog.segments(job_id)
    ]
