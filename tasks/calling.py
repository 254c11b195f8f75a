"""Asking the API for one segment: every call in the ledger, and no answer taken that is too strange."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from storage.database.ledger import Request
from storage.database.postings import Bill
from storage.database.tables import Segment
from storage.errors import StenoflowError
from tasks.affording import bill_of, price_of
from tasks.audio_api.answers import Answer, parse_answer
from tasks.audio_api.client import AudioApi
from tasks.audio_api.errors import CallError, UnknownOutcomeError
from tasks.audio_api.exchange import Target
from tasks.audio_api.gate import Gate
from tasks.audio_api.requests import TranscriptionRequest, Voice
from tasks.job_settings import JobSettings
from tasks.money.prices import Price
from tasks.settling import settle
from tasks.speech.doubt import Doubt, doubt, repeated_words
from tasks.speech.excerpt import Excerpt
from tasks.speech.words import Region
from tasks.workshop import Workshop

# The next of the temperatures that Whisper itself tries when it doubts what it heard.
_SECOND_TEMPERATURE = 0.2


@dataclass(frozen=True, slots=True)
class Call:
    """One segment's way to its answer.

    Attributes:
        workshop: the tools.
        api: who is asked.
        gate: how many calls at once, and the stop for all.
        segment: what is to be heard.
        settings: of its job.
        sound: its MP3.
        voices: who may speak in it.
    """

    workshop: Workshop
    api: AudioApi
    gate: Gate
    segment: Segment
    settings: JobSettings
    sound: Path
    voices: tuple[Voice, ...] = ()

    async def attempt(self, _number: int) -> bool:
        """Send it once: reserve, call, record.

        Returns:
            Whether there is an answer now. One that is too strange is kept, and it is to be asked for again.
        """
        ledger = self.workshop.ledger
        async with self.gate.slot():
            attempt_id = await self._begin()
            try:
                before = await settle(ledger.doubted, self.segment.work_key)
                first = before and self._read(before[1])
                answer = await self.api.transcribe(
                    self.sound, self._asked(again=first), duration_ms=self.duration_ms
                )
            except BaseException as error:
                await self._end(attempt_id, error)
                raise
            reason = self._doubt(answer)
            if reason is None or first is not None:
                best = answer if reason is None or first is None else _better(first, answer, reason)
                await settle(ledger.succeed, attempt_id, best.raw, self._bill(answer), reason)
                return True
            await settle(ledger.doubt, attempt_id, answer.raw, self._bill(answer))
            return False

    async def is_answered_by_what_was_doubted(self) -> bool:
        """Take the answer that was doubted, if there is one: it was paid for, and no other is to be had."""
        ledger = self.workshop.ledger
        doubted = await settle(ledger.doubted, self.segment.work_key)
        if doubted is None:
            return False
        attempt_id, answer = doubted
        reason = self._doubt(self._read(answer)) or Doubt.EMPTY
        await settle(ledger.accept, self.segment.job_id, self.segment.index, attempt_id, reason)
        return True

    def _doubt(self, answer: Answer) -> Doubt | None:
        speech = Excerpt(self.segment.spans).joined(
            [Region(start, end) for start, end in self.segment.regions], self.segment.start_sample
        )
        return doubt(answer.text, sum(region.duration_ms for region in speech))

    def _read(self, answer: str) -> Answer:
        target = Target(self.settings.provider, self.settings.model)
        return parse_answer(answer.encode(), target, self.duration_ms)

    @property
    def duration_ms(self) -> int:
        """How long what is sent is."""
        return Excerpt(self.segment.spans).duration_ms

    async def _begin(self) -> str:
        price = self._price()
        reserve = price.reserve(self.duration_ms) if price else None
        bill = bill_of(price, self.duration_ms, reserve)
        request = Request(
            self.segment.job_id,
            self.segment.index,
            self.segment.work_key,
            self.workshop.run_id,
            self.settings.provider,
            self.settings.model,
            bill,
        )
        return await settle(self.workshop.ledger.begin, request)

    async def _end(self, attempt_id: str, error: BaseException) -> None:
        """Record a call without a result. One that was broken off here may have been charged too."""
        ledger = self.workshop.ledger
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
        return bill_of(price, counted, price.charge(counted) if price else None)

    def _price(self) -> Price | None:
        return price_of(self.workshop, self.settings)

    def _asked(self, again: Answer | None) -> TranscriptionRequest:
        """Ask a second time at another temperature, or a model that repeats itself does it again."""
        return TranscriptionRequest(
            self.settings.model,
            language=self.settings.language,
            prompt=self.settings.prompt,
            temperature=None if again is None else _SECOND_TEMPERATURE,
            voices=self.voices,
        )


def _better(first: Answer, second: Answer, reason: Doubt) -> Answer:
    """Return which of two strange answers says more: the longer one, unless that only repeats itself more."""
    if reason is Doubt.EMPTY:
        return first if first.text.strip() else second
    return min(first, second, key=lambda answer: repeated_words(answer.text.lower().split()))


def _ms(seconds: Decimal) -> int:
    return round(seconds * 1000)
