"""A segment to be transcribed, or translated by an audio model, as a paid call.

An answer that is too strange is asked for once more, otherwise, and the better of the two is taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from stenoflow.storage.database.cache_keys import second_opinion_key
from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.errors import AnsweredError
from stenoflow.tasks.api.answers import Answer, parse_answer
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import LanguageRefusedError
from stenoflow.tasks.api.requests import SpeakerReference, TranscriptionRequest
from stenoflow.tasks.calls.bills import bill_audio, reserve_audio
from stenoflow.tasks.calls.paid_call import Accepted, PaidCall, Suspected, Verdict
from stenoflow.tasks.errors import EngineError, MediaError
from stenoflow.tasks.transcript.languages import language_code
from stenoflow.tasks.transcript.quality import (
    SuspectReason,
    find_language_mismatch,
    find_suspect_reason,
    repeated_words,
    spoken_words,
)
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.second_opinion import Difference, Opinion, compare
from stenoflow.tasks.transcript.types import Region, Word

# The next of the temperatures that Whisper itself tries when it doubts what it heard.
_SECOND_TEMPERATURE = 0.2


class LanguageVotes(Protocol):
    """What the segments of a job say of its language."""

    async def language_for(self, index: int) -> str | None:
        """Return the language to tell with a segment; None: the model finds out."""

    async def likeliest(self) -> str | None:
        """Return the one of the job's several languages that is spoken most; None where there are none."""

    def refused(self, language: str) -> None:
        """Tell a language no more that the provider does not take."""

    async def answered(self, segment: Segment) -> None:
        """Count the vote of a segment that was answered."""


class SecondOpinion(Protocol):
    """Another model, which transcribes the same sound."""

    @property
    def name(self) -> str:
        """Names it, its weights, and how it computes."""

    async def hear(self, sound: Path, language: str | None) -> tuple[Word, ...] | None:
        """Return the words of a segment with their times; None where it can say nothing of it."""


@dataclass(frozen=True, slots=True)
class SuspectedAnswer:
    """An answer that was not taken at once, and why."""

    answer: Answer
    reason: SuspectReason


@dataclass(frozen=True, slots=True)
class TranscribedAnswer:
    """What came back.

    Attributes:
        hints: what the model was told beforehand.
        first: the answer before it, which is suspect; None: this is the first one.
    """

    answer: Answer
    hints: str
    first: SuspectedAnswer | None


@dataclass(slots=True, kw_only=True)
class TranscribeCall(PaidCall[TranscribedAnswer]):
    """Has one segment transcribed, or translated.

    Attributes:
        segment: what is to be transcribed.
        request: what the job asks for, with no language.
        sound: the segment's MP3.
        languages: of the job.
        speakers: waits for who may speak in it, and gives clips of them; None: nobody is known.
        second: transcribes the sound as well, before the answer is taken; None: nobody does.
    """

    segment: Segment
    request: TranscriptionRequest
    sound: Path
    languages: LanguageVotes
    speakers: Callable[[], Awaitable[tuple[SpeakerReference, ...]]] | None = None
    second: SecondOpinion | None = None
    _heard: tuple[Word, ...] | None = field(default=None, init=False)
    _differences: tuple[Difference, ...] | None = field(default=None, init=False)

    async def prepare(self) -> None:
        """Judge an answer that is kept, if there is one; wait until it is known who may speak."""
        await self._judge_kept()
        if self.speakers is not None:
            self.request = replace(self.request, voices=await self.speakers())

    async def _judge_kept(self) -> None:
        """Take an answer that was kept until a second opinion is there, unless that differs.

        Raises:
            AnsweredError: it was taken.
        """
        kept = await run_blocking(self.context.ledger.first_suspect, self.cache_key)
        if kept is None or self._is_translation:
            return
        attempt_id, stored = kept
        answer = parse_answer(stored.encode(), self.target, self._duration_ms)
        if self._suspect_reason(answer, self.request.hints) is not None:
            return
        if self.second is not None:
            language = language_code(answer.language) or self.request.language
            with suppress(EngineError, MediaError):
                self._heard = await self.second.hear(self.sound, language)
        self._differences = self._compare(answer)
        if self._differences:
            return
        why = SuspectReason.TIMES if answer.has_odd_times else None
        accept = self.context.ledger.accept_suspect
        await run_blocking(accept, self.job_id, self.index, attempt_id, why)
        await self.recorded()
        raise AnsweredError(f"{self.noun} {self.index} of job {self.job_id} is answered")

    def _compare(self, answer: Answer) -> tuple[Difference, ...] | None:
        """Return where an answer differs from the second opinion; None where there is none."""
        if self._heard is None:
            return None
        return compare(answer.text, self._heard, self._duration_ms, answer.words)

    def reserve(self) -> Bill:
        """Reserve the segment's length."""
        return reserve_audio(self.price, self._duration_ms)

    async def send(self, api: AudioApi) -> TranscribedAnswer:
        """Send the sound; the second time otherwise, or a model does the same again."""
        before = await run_blocking(self.context.ledger.first_suspect, self.cache_key)
        first = None if before is None else self._suspected(before[1])
        answer, hints = await self._ask(api, await self._asked(None if first is None else first.reason))
        return TranscribedAnswer(answer, hints, first)

    async def _ask(self, api: AudioApi, request: TranscriptionRequest) -> tuple[Answer, str]:
        """Send a request; returns the answer and the hints that went along."""
        ask = api.translate if self._is_translation else api.transcribe
        try:
            answer = await ask(self.sound, request, duration_ms=self._duration_ms)
        except LanguageRefusedError:
            # The refusal was free, and a model finds out by itself.
            if request.language is None and not request.languages:
                raise
            if request.language is not None:
                self.languages.refused(request.language)
            request = replace(request, language=None, languages=())
            answer = await ask(self.sound, request, duration_ms=self._duration_ms)
        return answer, request.hints

    def accept(self, answer: TranscribedAnswer) -> Verdict:
        """Ask again for a suspect answer once; of two suspect ones take the better."""
        said, first = answer.answer, answer.first
        reason = self._suspect_reason(said, answer.hints)
        if reason is None and self._heard is not None:
            reason = SuspectReason.DIFFERS if self._compare(said) else None
        elif reason is None and first is None and self.second is not None and not self._is_translation:
            # It is paid for, so it is stored first: hearing it takes a while, in which all may end.
            return Suspected(said.raw, unsure=True)
        if reason is None:
            self._differences = self._compare(said)
            # It is not asked for again: its text is sound, and was paid for.
            return Accepted(said.raw, SuspectReason.TIMES if said.has_odd_times else None)
        if first is None:
            return Suspected(said.raw)
        better = self._more_alike(first, said) if reason is SuspectReason.DIFFERS else None
        better = better or _better(first, said, reason)
        if better is first.answer and first.reason is SuspectReason.DIFFERS:
            reason = SuspectReason.DIFFERS
        self._differences = self._compare(better)
        return Accepted(better.raw, reason)

    def bill(self, answer: TranscribedAnswer) -> Bill:
        """Charge what the API says that it counted, where that can be; else the segment's length."""
        return bill_audio(self.price, self._duration_ms, answer.answer.usage_seconds)

    async def recorded(self) -> None:
        """Store what the second opinion says of it, and count the segment's vote on the job's language."""
        if self.second is not None:
            await run_blocking(self._store_opinion)
        if not self._is_translation:
            await self.languages.answered(self.segment)

    def find_fallback(self) -> tuple[str, str] | None:
        """Return the suspect answer, if there is one: it was paid for."""
        suspected = self.context.ledger.first_suspect(self.cache_key)
        if suspected is None:
            return None
        attempt_id, answer = suspected
        reason = self._suspected(answer).reason
        self._store_opinion()
        # Nobody said what only echoes the hints: what was said is missing.
        return None if reason is SuspectReason.ECHO else (attempt_id, reason)

    @property
    def _is_translation(self) -> bool:
        return self.activity == Activity.TRANSLATION

    @property
    def _duration_ms(self) -> int:
        """How long what is sent is."""
        return Excerpt(self.segment.spans).duration_ms

    def _suspected(self, stored: str) -> SuspectedAnswer:
        answer = parse_answer(stored.encode(), self.target, self._duration_ms)
        # An answer that nothing is wrong with was kept for a second opinion, which differs.
        usual = SuspectReason.DIFFERS if answer.text.strip() else SuspectReason.EMPTY
        return SuspectedAnswer(answer, self._suspect_reason(answer, self.request.hints) or usual)

    def _more_alike(self, first: SuspectedAnswer, second: Answer) -> Answer | None:
        """Return which of two answers differs less from the second opinion; None: the first is strange."""
        if first.reason is not SuspectReason.DIFFERS:
            return None
        return min(first.answer, second, key=lambda each: sum(one.words for one in self._compare(each) or ()))

    def _store_opinion(self) -> None:
        if self.second is None or self._differences is None:
            return
        opinion = Opinion(self.second.name, self._differences)
        self.context.ledger.put_result(second_opinion_key(self.cache_key), opinion.to_json())

    def _suspect_reason(self, answer: Answer, hints: str) -> SuspectReason | None:
        """Say why an answer is strange, to a request with such hints."""
        speech = Excerpt(self.segment.spans).joined(
            [Region(start, end) for start, end in self.segment.regions], self.segment.start_sample
        )
        speech_ms = sum(region.duration_ms for region in speech)
        reason = find_suspect_reason(answer.text, speech_ms, hints)
        if reason is None and not self._is_translation and self.request.languages:
            codes = [language_code(each) for each in answer.languages]
            # Of a mixed segment, one that was to be expected is enough.
            found = next((code for code in codes if code in self.request.languages), next(iter(codes), None))
            return find_language_mismatch(found, self.request.languages, speech_ms)
        return reason

    async def _asked(self, again: SuspectReason | None) -> TranscriptionRequest:
        """Return the request; ``again``: why the first answer is suspect."""
        request = self.request
        if not self._is_translation:
            request = replace(request, language=await self.languages.language_for(self.index))
        match again:
            case None:
                return request
            case SuspectReason.LANGUAGE:
                return replace(request, language=await self.languages.likeliest(), languages=())
            case SuspectReason.ECHO:
                return replace(request, prompt=None, keywords=())
            case _:
                return replace(request, temperature=_SECOND_TEMPERATURE)


@dataclass(slots=True, kw_only=True)
class RepeatedCall(TranscribeCall):
    """Has a segment that lacks words transcribed again, or a piece of it; whatever comes is taken."""

    async def send(self, api: AudioApi) -> TranscribedAnswer:
        """Send the sound, asking otherwise, or a model does the same again."""
        request = replace(await self._asked(None), temperature=_SECOND_TEMPERATURE)
        answer, hints = await self._ask(api, request)
        return TranscribedAnswer(answer, hints, None)

    def accept(self, answer: TranscribedAnswer) -> Verdict:
        """Take it: only words that the first answer lacks are taken of it."""
        return Accepted(answer.answer.raw)

    async def recorded(self) -> None:
        """Leave the vote as it is: the segment has voted."""

    def find_fallback(self) -> tuple[str, str] | None:
        """Return None: the first answer is there."""
        return None


def _better(first: SuspectedAnswer, second: Answer, reason: SuspectReason) -> Answer:
    """Return which of two strange answers says more: the longer one, unless that only repeats itself more.

    What only echoes the hints was not said by anybody.
    """
    if first.reason is SuspectReason.ECHO or reason is SuspectReason.ECHO:
        return second if first.reason is SuspectReason.ECHO else first.answer
    if reason is SuspectReason.EMPTY:
        return first.answer if first.answer.text.strip() else second
    return min(first.answer, second, key=lambda answer: repeated_words(spoken_words(answer.text)))
