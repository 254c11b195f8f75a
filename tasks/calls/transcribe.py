"""Asking the API for one segment: every call in the ledger, and no answer taken that is too strange."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from stenoflow.storage.database.cache_keys import translation_key
from stenoflow.storage.database.ledger import Request
from stenoflow.storage.database.postings import Bill
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.api.answers import Answer, parse_answer
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.requests import SpeakerReference, TranscriptionRequest
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.settings import JobSettings
from stenoflow.tasks.billing.prices import Price
from stenoflow.tasks.calls.bills import bill_of_audio, transcription_price
from stenoflow.tasks.calls.paid_call import settle_error
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.language_vote import LanguageVote
from stenoflow.tasks.transcript.languages import language_code
from stenoflow.tasks.transcript.quality import (
    SuspectReason,
    find_language_mismatch,
    find_suspect_reason,
    repeated_words,
)
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.types import Region

# The next of the temperatures that Whisper itself tries when it doubts what it heard.
_SECOND_TEMPERATURE = 0.2


@dataclass(frozen=True, slots=True)
class TranscribeCall:
    """One segment's way to its answer.

    Attributes:
        context: the tools.
        api: who is asked.
        limiter: how many calls at once, and the stop for all.
        segment: what is to be heard.
        agreement: its job's settings, and the language that its segments agree on.
        sound: its MP3.
        activity: hearing or translating.
        voices: who may speak in it.
    """

    context: AppContext
    api: AudioApi
    limiter: Limiter
    segment: Segment
    agreement: LanguageVote
    sound: Path
    activity: Activity = Activity.TRANSCRIPTION
    voices: tuple[SpeakerReference, ...] = ()

    @property
    def cache_key(self) -> str:
        """What the answer is stored under."""
        key = self.segment.cache_key
        return translation_key(key) if self._is_translation else key

    @property
    def _is_translation(self) -> bool:
        return self.activity == Activity.TRANSLATION

    @property
    def settings(self) -> JobSettings:
        """Those of the job."""
        return self.agreement.settings

    async def attempt(self, _number: int) -> bool:
        """Send it once: reserve, call, record.

        Returns:
            Whether there is an answer now. One that is too strange is kept, and it is to be asked for again.
        """
        ledger = self.context.ledger
        async with self.limiter.slot():
            attempt_id = await self._begin()
            try:
                before = await run_blocking(ledger.first_suspect, self.cache_key)
                first = before and self._doubted(self._read(before[1]))
                request = await self._asked(first.reason if first else None)
                ask = self.api.translate if self._is_translation else self.api.transcribe
                answer = await ask(self.sound, request, duration_ms=self.duration_ms)
            except BaseException as error:
                await settle_error(ledger, attempt_id, error, f"segment {self.segment.index}")
                raise
            reason = self._doubt(answer, request.hints)
            if reason is None or first is not None:
                best = answer if reason is None or first is None else _better(first, answer, reason)
                await run_blocking(ledger.succeed, attempt_id, best.raw, self._bill(answer), reason)
                if not self._is_translation:
                    # Before the next call goes out.
                    await self.agreement.heard(self.segment, best)
                return True
            await run_blocking(ledger.store_suspect, attempt_id, answer.raw, self._bill(answer))
            return False

    async def accept_suspect(self) -> bool:
        """Take the answer that was doubted, if there is one: it was paid for, and no other is to be had."""
        ledger = self.context.ledger
        doubted = await run_blocking(ledger.first_suspect, self.cache_key)
        if doubted is None:
            return False
        attempt_id, answer = doubted
        reason = self._doubted(self._read(answer)).reason
        if reason is SuspectReason.ECHO:
            # Nobody said that: what was said is missing.
            return False
        await run_blocking(ledger.accept_suspect, self.segment.job_id, self.segment.index, attempt_id, reason)
        return True

    def _doubted(self, answer: Answer) -> _Doubted:
        return _Doubted(answer, self._doubt(answer, self._request().hints) or SuspectReason.EMPTY)

    def _doubt(self, answer: Answer, hints: str) -> SuspectReason | None:
        """Say why an answer is strange, to a request with such hints."""
        speech = Excerpt(self.segment.spans).joined(
            [Region(start, end) for start, end in self.segment.regions], self.segment.start_sample
        )
        speech_ms = sum(region.duration_ms for region in speech)
        reason = find_suspect_reason(answer.text, speech_ms, hints)
        if reason is None and not self._is_translation and self.settings.languages:
            return find_language_mismatch(language_code(answer.language), self.settings.languages, speech_ms)
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
        bill = bill_of_audio(price, self.duration_ms, reserve)
        request = Request(
            self.segment.job_id,
            self.segment.index,
            self.cache_key,
            self.context.run_id,
            self.settings.provider,
            self.settings.model,
            bill,
            self.activity,
        )
        return await run_blocking(self.context.ledger.begin, request)

    def _bill(self, answer: Answer) -> Bill:
        """Charge what the API says that it counted, else the segment's length."""
        counted = self.duration_ms if answer.usage_seconds is None else _ms(answer.usage_seconds)
        price = self._price()
        return bill_of_audio(price, counted, price.charge(counted) if price else None)

    def _price(self) -> Price | None:
        return transcription_price(self.context, self.settings)

    async def _asked(self, again: SuspectReason | None) -> TranscriptionRequest:
        """Ask a second time otherwise, or a model does the same again."""
        request = self._request()
        if not self._is_translation:
            index = self.segment.index
            request = replace(request, language=await self.agreement.language_for(index))
        match again:
            case None:
                return request
            case SuspectReason.LANGUAGE:
                return replace(request, language=await self.agreement.likeliest(), languages=())
            case SuspectReason.ECHO:
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
    reason: SuspectReason


def _better(first: _Doubted, second: Answer, reason: SuspectReason) -> Answer:
    """Return which of two strange answers says more: the longer one, unless that only repeats itself more.

    What only echoes the hints was not said by anybody.
    """
    if first.reason is SuspectReason.ECHO or reason is SuspectReason.ECHO:
        return second if first.reason is SuspectReason.ECHO else first.answer
    if reason is SuspectReason.EMPTY:
        return first.answer if first.answer.text.strip() else second
    return min(first.answer, second, key=lambda answer: repeated_words(answer.text.lower().split()))


def _ms(seconds: Decimal) -> int:
    return round(seconds * 1000)
