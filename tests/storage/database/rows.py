"""Rows as tests need them: one recording, one job, segments of ten minutes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from stenoflow.storage.database.catalog import Catalog, SegmentPlan
from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.ledger import Request
from stenoflow.storage.database.tables import Artifact, Job, Recording

SEGMENT_SAMPLES = 16_000 * 600
RESERVE = 60_000
"""What a request of ten minutes reserves: 0.006 USD a minute."""


class Hands:
    """A clock that is set by hand, and goes on by a second at each reading."""

    def __init__(self, now: datetime = datetime(2026, 3, 14, 12, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def recording(source: str = "file:///talks/meeting.mp3", audio: str = "audio") -> Recording:
    return Recording(
        id=digest(source + audio)[:16],
        source=source,
        name=source.rpartition("/")[2],
        version=None,
        sha256=digest(audio),
        bytes=5_000_000_000,
    )


def job(
    of: Recording,
    *,
    settings: str = "settings",
    plan: str = "plan",
    tag: str | None = None,
    budget_micro: int | None = None,
) -> Job:
    return Job(
        id=digest(of.id + settings)[:12],
        recording_id=of.id,
        settings_hash=digest(settings),
        settings={"model": settings},
        plan_hash=digest(plan),
        tag=tag,
        budget_micro=budget_micro,
    )


def cut(index: int, *, silent: bool = False) -> SegmentPlan:
    start = index * SEGMENT_SAMPLES
    speech = () if silent else ((500, 250_000), (251_000, 599_000))
    end = start + SEGMENT_SAMPLES
    sent = None if index % 3 else () if silent else ((start, start + 400_000), (start + 480_000, end))
    return SegmentPlan(index, start, end, forced=index % 2 == 1, speech=speech, sent=sent)


def open_job(
    catalog: Catalog,
    *,
    segments: int = 3,
    source: str = "file:///talks/meeting.mp3",
    tag: str | None = None,
    budget_micro: int | None = None,
) -> str:
    """Store a recording, a job of it and the job's segments; the job's id."""
    stored = catalog.add_recording(recording(source))
    opened = catalog.open_job(job(stored, tag=tag, budget_micro=budget_micro))
    for index in range(segments):
        catalog.add_segment(opened.id, cut(index), cache_key(index))
    return opened.id


def cache_key(index: int) -> str:
    return digest(f"segment {index}")


def bill(amount_micro: int | None = RESERVE, *, quantity: int = 600_000, currency: str = "USD") -> Bill:
    price = None if amount_micro is None else "0.006 USD a minute"
    return Bill(quantity, "ms", price, amount_micro, currency)


def request(
    job_id: str,
    index: int = 0,
    *,
    run_id: str = "run",
    model: str = "whisper-1",
    costs: Bill | None = None,
    key: str | None = None,
) -> Request:
    return Request(job_id, index, key or cache_key(index), run_id, "openai", model, costs or bill())


def artifact(job_id: str, name: str, content: str = "") -> Artifact:
    return Artifact(
        job_id=job_id,
        name=name,
        key=f"recording/{job_id}/{name}",
        uri=f"file:///store/recording/{job_id}/{name}",
        sha256=digest(content),
        bytes=len(content),
    )
