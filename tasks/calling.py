"""Asking the API for one segment: every call in the ledger, and no answer taken that is too strange."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from storage.database.derived_keys import translation_key
from storage.database.ledger import Request
from storage.database.postings import Bill
from storage.database.states import Activity
from storage.database.tables import Segment
from tasks.affording import bill_of, price_of
from tasks.audio_api.answers import Answer, parse_answer
from tasks.audio_api.client import AudioApi
from tasks.audio_api.exchange import Target
from tasks.audio_api.gate import Gate
from tasks.audio_api.requests import TranscriptionRequest, Voice
from tasks.ending import end_unanswered
from tasks.job_settings import JobSettings
from tasks.languages.agreement import Agreement
from tasks.money.prices import Price
from tasks.settling import settle
from tasks.speech.doubt import Doubt, doubt, doubt_language, repeated_words
from tasks.speech.excerpt import Excerpt
from tasks.speech.languages import language_code
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
        agreement: its job's settings, and the language that its segments agree on.
        sound: its MP3.
        activity: hearing or translating.
        voices: who may speak in it.
    """

    workshop: Workshop
    api: AudioApi
    gate: Gate
    segment: Segment
    agreement: Agreement
    sound: Path
    activity: Activity = Activity.HEARING
    voices: tuple[Voice, ...] = ()

    @property
    def work_key(self) -> str:
        """What the answer is stored under."""
        key = self.segment.work_key
        return translation_key(key) if self._is_translation else key

    @property
    def _is_translation(self) -> bool:
        return self.activity == Activity.TRANSLATING

    @property
    def settings(self) -> JobSettings:
        """Those of the job."""
        return self.agreement.settings

    async def attempt(self, _number: int) -> bool:
        """Send it once: reserve, call, record.

        Returns:
            Whether there is an answer now. One that is too strange is kept, and it is to be asked for again.
        """
        ledger = self.workshop.ledger
        async with self.gate.slot():
            attempt_id = await self._begin()
            try:
                before = await settle(ledger.doubted, self.work_key)
                first = before and self._doubted(self._read(before[1]))
                request = await self._asked(first.reason if first else None)
                ask = self.api.translate if self._is_translation else self.api.transcribe
                answer = await ask(self.sound, request, duration_ms=self.duration_ms)
            except BaseException as error:
                await end_unanswered(ledger, attempt_id, error, f"segment {self.segment.index}")
                raise
            reason = self._doubt(answer, request.hints)
            if reason is None or first is not None:
                best = answer if reason is None or first is None else _better(first, answer, reason)
                await settle(ledger.succeed, attempt_id, best.raw, self._bill(answer), reason)
                if not self._is_translation:
                    # Before the next call goes out.
                    await self.agreement.heard(self.segment, best)
                return True
            await settle(ledger.doubt, attempt_id, answer.raw, self._bill(answer))
            return False

    async def is_answered_by_what_was_doubted(self) -> bool:
        """Take the answer that was doubted, if there is one: it was paid for, and no other is to be had."""
        ledger = self.workshop.ledger
        doubted = await settle(ledger.doubted, self.work_key)
        if doubted is None:
            return False
        attempt_id, answer = doubted
        reason = self._doubted(self._read(answer)).reason
        if reason is Doubt.ECHO:
            # Nobody said that: what was said is missing.
            return False
        await settle(ledger.accept, self.segment.job_id, self.segment.index, attempt_id, reason)
        return True

    def _doubted(self, answer: Answer) -> _Doubted:
        return _Doubted(answer, self._doubt(answer, self._request().hints) or Doubt.EMPTY)

    def _doubt(self, answer: Answer, hints: str) -> Doubt | None:
        """Say why an answer is strange, to a request with such hints."""
        speech = Excerpt(self.segment.spans).joined(
            [Region(start, end) for start, end in self.segment.regions], self.segment.start_sample
        )
        speech_ms = sum(region.duration_ms for region in speech)
        reason = doubt(answer.text, speech_ms, hints)
        if reason is None and not self._is_translation and self.settings.languages:
            return doubt_language(language_code(answer.language), self.settings.languages, speech_ms)
        return reason

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
            self.work_key,
            self.workshop.run_id,
            self.settings.provider,
            self.settings.model,
            bill,
            self.activity,
        )
        return await settle(self.workshop.ledger.begin, request)

    def _bill(self, answer: Answer) -> Bill:
        """Charge what the API says that it counted, else the segment's length."""
        counted = self.duration_ms if answer.usage_seconds is None else _ms(answer.usage_seconds)
        price = self._price()
        return bill_of(price, counted, price.charge(counted) if price else None)

    def _price(self) -> Price | None:
        return price_of(self.workshop, self.settings)

    async def _asked(self, again: Doubt | None) -> TranscriptionRequest:
        """Ask a second time otherwise, or a model does the same again."""
        request = self._request()
        if not self._is_translation:
            index = self.segment.index
            request = replace(request, language=await self.agreement.language_for(index))
        match again:
            case None:
                return request
            case Doubt.LANGUAGE:
                return replace(request, language=await self.agreement.likeliest(), languages=())
            case Doubt.ECHO:
                return replace(request, prompt=None, keywords=())
            case _:
                return replace(request, temperature=_SECOND_TEMPERATURE)

    def _request(self) -> TranscriptionRequest:
        return TranscriptionRequest(
            self.settings.model,
            languages=self.settings.languages,
            prompt=self.settings.prompt,
            keywords=self.settings.keywords,
            voices=self.voices,
        )


@dataclass(frozen=True, slots=True)
class _Doubted:
    """An answer that was not taken at once, and why."""

    answer: Answer
    reason: Doubt


def _better(first: _Doubted, second: Answer, reason: Doubt) -> Answer:
    """Return which of two strange answers says more: the longer one, unless that only repeats itself more.

    What only echoes the hints was not said by anybody.
    """
    if first.reason is Doubt.ECHO or reason is Doubt.ECHO:
        return second if first.reason is Doubt.ECHO else first.answer
    if reason is Doubt.EMPTY:
        return first.answer if first.answer.text.strip() else second
    return min(first.answer, second, key=lambda answer: repeated_words(answer.text.lower().split()))


def _ms(seconds: Decimal) -> int:
    return round(seconds * 1000)
