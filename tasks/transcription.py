"""Transcribing one segment: its answer from the store, or from the API, with every call in the ledger."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from storage.database.ledger import Bill, Request
from storage.database.states import SegmentState
from storage.database.tables import Segment
from storage.errors import AnsweredError, StenoflowError, TakenError
from tasks.audio_api.answers import Answer
from tasks.audio_api.client import AudioApi
from tasks.audio_api.errors import CallError, UnknownOutcomeError, UnreachableError
from tasks.audio_api.gate import Gate
from tasks.audio_api.requests import TranscriptionRequest
from tasks.audio_api.retrying import RetryPolicy, with_retries
from tasks.intake import price_of
from tasks.job_settings import JobSettings
from tasks.money.prices import Price, Unit
from tasks.settling import settle
from tasks.speech.excerpt import Excerpt
from tasks.workshop import Workshop

# How often to look for the answer to what another run has asked.
_LOOK_AGAIN_S = 1.0


@dataclass(slots=True)
class Transcriber:
    """Transcribes segments at one provider; belongs to one event loop.

    Attributes:
        gate: how many calls at once, and the stop for all.
    """

    workshop: Workshop
    api: AudioApi
    gate: Gate
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    # The same audio may come in twice in one call; the second waits for the first one's answer.
    _asked: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def transcribe(self, job_id: str, index: int, sound: Path) -> None:
        """Get a segment its answer and store it; nothing is sent where it is stored already.

        Args:
            job_id: the job.
            index: the segment.
            sound: its MP3; need not exist where the answer is stored.

        Raises:
            CallError: the API gave none; the segment is parked, unless the provider as a whole is stopped.
            BudgetError: the budget has no room for the call.
        """
        segment = await settle(self.workshop.catalog.segment, job_id, index)
        if segment.state in {SegmentState.DONE, SegmentState.SILENT}:
            return
        async with self._asked[segment.work_key]:
            if await settle(self.workshop.ledger.answered, [segment.work_key]):
                await settle(self.workshop.ledger.reuse, job_id, index)
                return
            job = await settle(self.workshop.catalog.job, job_id)
            call = _Call(self, segment, JobSettings.from_dict(job.settings), sound)
            try:
                await self._ask(call)
            except AnsweredError:
                await settle(self.workshop.ledger.reuse, job_id, index)
            except StenoflowError as error:
                if isinstance(error, UnreachableError):
                    # Each of the others would find out as slowly.
                    self.gate.stop(error)
                await settle(self.workshop.ledger.park, job_id, index, error)
                raise

    async def _ask(self, call: _Call) -> None:
        """Ask for it; while another run, which is alive, asks for the same, wait for its answer."""
        while True:
            try:
                return await with_retries(call.attempt, policy=self.policy)
            except TakenError:
                await asyncio.sleep(_LOOK_AGAIN_S)


@dataclass(frozen=True, slots=True)
class _Call:
    """One segment's way to its answer."""

    owner: Transcriber
    segment: Segment
    settings: JobSettings
    sound: Path

    async def attempt(self, _number: int) -> None:
        """Send it once: reserve, call, record."""
        async with self.owner.gate.slot():
            attempt_id = await self._begin()
            try:
                answer = await self.owner.api.transcribe(
                    self.sound, self._asked(), duration_ms=self.duration_ms
                )
            except BaseException as error:
                await self._end(attempt_id, error)
                raise
            await settle(self.owner.workshop.ledger.succeed, attempt_id, answer.raw, self._bill(answer))

    @property
    def duration_ms(self) -> int:
        """How long what is sent is."""
        return Excerpt(self.segment.spans).duration_ms

    async def _begin(self) -> str:
        price = self._price()
        reserve = price.reserve(self.duration_ms) if price else None
        bill = _bill(price, self.duration_ms, reserve)
        request = Request(
            self.segment.job_id,
            self.segment.index,
            self.segment.work_key,
            self.owner.workshop.run_id,
            self.settings.provider,
            self.settings.model,
            bill,
        )
        return await settle(self.owner.workshop.ledger.begin, request)

    async def _end(self, attempt_id: str, error: BaseException) -> None:
        """Record a call without a result. One that was broken off here may have been charged too."""
        ledger = self.owner.workshop.ledger
        if isinstance(error, CallError) and error.charged == "no":
            await settle(ledger.refuse, attempt_id, error)
        elif isinstance(error, StenoflowError):
            await settle(ledger.lose, attempt_id, error)
        else:
            what = f"segment {self.segment.index}: the call was broken off ({type(error).__name__})"
            await settle(ledger.lose, attempt_id, UnknownOutcomeError(what))

    def _bill(self, answer: Answer) -> Bill:
        """Charge what the API says that it counted, else the segment's length."""
        counted = self.duration_ms if answer.usage_seconds is None else _ms(answer.usage_seconds)
        price = self._price()
        return _bill(price, counted, price.charge(counted) if price else None)

    def _price(self) -> Price | None:
        return price_of(self.owner.workshop, self.settings)

    def _asked(self) -> TranscriptionRequest:
        return TranscriptionRequest(
            self.settings.model, language=self.settings.language, prompt=self.settings.prompt
        )


def _bill(price: Price | None, quantity_ms: int, amount_micro: int | None) -> Bill:
    if price is None:
        return Bill(quantity_ms, Unit.MS, None, None, "USD")
    written = f"{price.amount} {price.currency} a {price.per} ({price.source}, {price.date})"
    return Bill(quantity_ms, Unit.MS, written, amount_micro, price.currency)


def _ms(seconds: Decimal) -> int:
    return round(seconds * 1000)
