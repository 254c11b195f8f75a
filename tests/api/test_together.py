"""Client, retries and limiter together, as a flow uses them, against the server's own bill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import stamina

from stenoflow.tasks.api.answers import Answer
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import BillingStoppedError, CallError, KeyRefusedError, UnknownOutcomeError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.requests import TranscriptionRequest
from stenoflow.tasks.api.retry import with_retries
from stenoflow.tasks.api.settings import AudioApiSettings
from tests.servers.audio_api import AudioApiServer


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=1_000):
        yield


@dataclass
class Job:
    """Transcribes one file several times over, and keeps a ledger of what each attempt came to."""

    server: AudioApiServer
    segment: Path
    limiter: Limiter = field(default_factory=lambda: Limiter(4))
    ledger: list[str] = field(default_factory=list)

    async def run(self, segments: int) -> list[Answer | BaseException]:
        settings = AudioApiSettings(self.server.base_url)
        async with AudioApi(settings, load_models()) as api:

            async def attempt(_: int) -> Answer:
                async with self.limiter.slot():
                    return await self._recorded(api)

            calls = (with_retries(attempt) for _ in range(segments))
            return await asyncio.gather(*calls, return_exceptions=True)

    async def _recorded(self, api: AudioApi) -> Answer:
        try:
            request = TranscriptionRequest("whisper-1")
            answer = await api.transcribe(self.segment, request, duration_ms=10_000)
        except CallError as error:
            self.ledger.append(error.charged)
            raise
        self.ledger.append("actual")
        return answer


@pytest.fixture
def job(server: AudioApiServer, segment: Path) -> Job:
    return Job(server, segment)


async def test_trouble_passes_and_every_bill_is_in_the_ledger(job: Job) -> None:
    job.server.script(["429-retry-after-ms", "500", "429-retry-after", "ok", "reset-after-body", "429", "ok"])

    answers = [(await job.run(1))[0] for _ in range(2)]

    assert all(isinstance(answer, Answer) for answer in answers)
    assert job.ledger == ["no", "possible", "no", "actual", "possible", "no", "actual"]
    billed = [call.charged for call in job.server.calls]
    assert all(entry != "no" for entry, charged in zip(job.ledger, billed, strict=True) if charged)


async def test_a_segment_of_unknown_outcome_is_paid_for_twice_at_most_and_the_others_finish(job: Job) -> None:
    job.limiter = Limiter(1)
    job.server.script(["reset-after-body"])
    job.server.mode = "502"

    assert all(isinstance(result, UnknownOutcomeError) for result in await job.run(3))
    assert len(job.server.calls) == 6


@pytest.mark.parametrize(
    ("mode", "kind"), [("401", KeyRefusedError), ("429-insufficient_quota", BillingStoppedError)]
)
async def test_a_provider_that_is_done_with_us_is_not_stormed(
    job: Job, mode: str, kind: type[CallError]
) -> None:
    job.server.mode = mode
    job.server.delay_s = 0.05

    results = await job.run(40)

    assert [type(result) for result in results] == [kind] * 40
    assert len(job.server.calls) <= 4


async def test_rate_limits_lower_the_number_of_calls_and_lose_none(job: Job) -> None:
    job.server.script(["429-retry-after-ms"] * 4)

    results = await job.run(20)

    assert all(isinstance(result, Answer) for result in results)
    assert sum(call.charged for call in job.server.calls) == 20
    assert job.server.peak <= 4
