"""Transcribe the segments of a job: the request for each, the vote on the language, translation, review."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from stenoflow.storage.database.catalog import plan_of_segment
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.errors import BudgetError
from stenoflow.tasks.api.answers import Answer, parse_answer
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.api.requests import TranscriptionRequest
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.job_settings import JobSettings, Speakers
from stenoflow.tasks.calls.failover import IMPATIENT, Candidate
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.transcribe import RepeatedCall, SecondOpinion, TranscribeCall
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.due import DueOrder, Speeds
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
from stenoflow.tasks.jobs.transcribe.review import Reviewer
from stenoflow.tasks.jobs.transcribe.speakers import SpeakerClips
from stenoflow.tasks.jobs.translate.run import TranslateCall
from stenoflow.tasks.transcript.languages import (
    Vote,
    agreed_on,
    is_free,
    language_code,
    language_to_tell,
    likeliest,
)
from stenoflow.tasks.transcript.regions import Excerpt

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LanguageVote:
    """The vote of one job's segments; belongs to one event loop.

    Nothing waits for it: segments that are sent before it is reached are what votes.
    """

    context: AppContext
    job_id: str
    settings: JobSettings
    _agreed: str | None = None
    _votes: dict[int, Vote] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _loaded: bool = False
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_open(self) -> bool:
        """Whether there is a vote: the language is left open, and the model says which it is."""
        if self.settings.language is not None:
            return False
        return self.settings.format == "verbose_json" or self.context.models.get(self.settings.model).detects

    async def language_for(self, index: int) -> str | None:
        """Return the language to tell with a segment; None: the model finds out."""
        if not self.is_open or self.settings.languages:
            said = self.settings.language
            return None if said in self._refused else said
        await self._load()
        language = language_to_tell(index, self._agreed, self._votes)
        return None if language in self._refused else language

    async def likeliest(self) -> str | None:
        """Return the one of the job's several languages that is spoken most; None where there are none."""
        if not self.settings.languages:
            return None
        if self.is_open:
            await self._load()
        language = likeliest(self._votes.values(), self.settings.languages)
        return None if language in self._refused else language

    def refused(self, language: str) -> None:
        """Tell a language no more that the provider does not take."""
        if language not in self._refused:
            _log.warning(
                "job %s: the provider takes no language %s, and finds out itself",
                self.job_id,
                language,
                extra={"run": self.context.run_id, "job": self.job_id},
            )
        self._refused.add(language)

    async def answered(self, segment: Segment) -> None:
        """Count the vote of a segment that was answered, once."""
        index = segment.index
        if not self.is_open or index in self._votes or (self._agreed is not None and not is_free(index)):
            return
        await self._load()
        self._votes |= await run_blocking(_votes_of, self.context, self.settings, [segment])
        await self._agree()

    async def _load(self) -> None:
        """Count the votes of an earlier run, once."""
        async with self._loading:
            if self._loaded:
                return
            self._agreed, votes = await run_blocking(self._stored)
            self._votes |= votes
            self._loaded = True
        await self._agree()

    def _stored(self) -> tuple[str | None, dict[int, Vote]]:
        """Return the language that is agreed on, and the votes that still count; blocks."""
        catalog = self.context.catalog
        with self.context.database.reading():
            agreed = catalog.job(self.job_id).language
            voting = [
                each
                for each in catalog.segments(self.job_id)
                if each.state == SegmentState.DONE and (agreed is None or is_free(each.index))
            ]
            return agreed, _votes_of(self.context, self.settings, voting)

    async def _agree(self) -> None:
        if self._agreed is not None or self.settings.languages:
            return
        agreed = agreed_on(self._votes.values())
        if agreed is not None:
            self._agreed = await run_blocking(self.context.catalog.agree_on_language, self.job_id, agreed)


def _votes_of(context: AppContext, settings: JobSettings, segments: Iterable[Segment]) -> dict[int, Vote]:
    target = Target(settings.provider, settings.model)
    votes: dict[int, Vote] = {}
    for segment in segments:
        answer = context.ledger.answers([segment.cache_key]).get(segment.cache_key)
        if answer is None:
            continue
        said = parse_answer(answer.encode(), target, Excerpt(segment.spans).duration_ms)
        votes |= _vote_of(segment, said)
    return votes


def _vote_of(segment: Segment, answer: Answer) -> dict[int, Vote]:
    """Return a segment's vote by its number; nothing where it says nothing, or not in which language."""
    language = language_code(answer.language)
    # A mixed segment has no vote.
    if language is None or len(answer.languages) > 1 or not answer.text.strip():
        return {}
    return {segment.index: Vote(language, sum(end - start for start, end in segment.regions))}


@dataclass(frozen=True, slots=True)
class SegmentTranscriber:
    """Transcribes the segments of one job; belongs to one event loop.

    Attributes:
        vote: on the job's language.
        sha256: of the recording.
        speeds: of the providers.
        clips: of who speaks in it; None: the model does not tell voices apart.
        second: gives second opinions; None: nobody does.
        due: says who is asked first, where the job is due; None: as the settings have it.
    """

    caller: Caller
    settings: JobSettings
    vote: LanguageVote
    sha256: str
    speeds: Speeds
    clips: SpeakerClips | None = None
    second: SecondOpinion | None = None
    due: DueOrder | None = None

    @classmethod
    def of(cls, caller: Caller, prepared: PreparedJob, second: SecondOpinion | None = None) -> Self:
        """Return what transcribes a job that is prepared."""
        settings = prepared.settings
        vote = LanguageVote(caller.context, prepared.job.id, settings)
        clips = SpeakerClips(caller.context, prepared) if settings.speakers == Speakers.MODEL else None
        speeds = Speeds(caller.context)
        due = DueOrder.of(caller.context, prepared, speeds)
        return cls(caller, settings, vote, prepared.recording.sha256, speeds, clips, second, due)

    async def transcribe(self, index: int, sound: Path) -> None:
        """Get a segment its answer, and its translation where the job is to be translated.

        Nothing is sent for what is stored already.

        Args:
            index: the segment.
            sound: its MP3; need not exist where the answers are stored.

        Raises:
            StenoflowError: see `Caller.obtain`.
        """
        try:
            await self._transcribe(index, sound)
        finally:
            if self.clips is not None:
                await self.clips.notify_segment_ended()

    async def _transcribe(self, index: int, sound: Path) -> None:
        context = self.caller.context
        segment = await run_blocking(self._begin, index)
        if segment.state == SegmentState.SILENT:
            return
        if segment.state != SegmentState.DONE:
            if self.settings.others:
                await run_blocking(self._reuse, segment)
            await self._obtain(segment, sound)
            await self.vote.answered(segment)
        with self.caller.waits.listening():
            await self._reviewer.review(segment, sound)
        if not self.settings.translate:
            return
        if await run_blocking(untranslated, context, self.settings, [segment.cache_key]):
            await self._translate(segment, sound)

    def _begin(self, index: int) -> Segment:
        """Return a segment; notes that its answer, which is about to come, is to be listened to; blocks."""
        context = self.caller.context
        with context.database.reading():
            segment = context.catalog.segment(self.vote.job_id, index)
            answered = context.ledger.answered([segment.cache_key])
        if segment.state not in {SegmentState.SILENT, SegmentState.DONE} and not answered:
            self._reviewer.begin(segment)
        return segment

    async def _obtain(
        self,
        segment: Segment,
        sound: Path,
        activity: Activity = Activity.TRANSCRIPTION,
        kind: type[TranscribeCall] = TranscribeCall,
    ) -> None:
        """Get a segment its answer, of the first provider that can give one.

        Who is broken is passed over, but for the last, and so is who costs more than a budget has room for;
        once nothing more is sent to anybody, the others are not asked.
        """
        caller = self.caller
        able = self._able(activity)
        if self.due is not None:
            able = [each for each in await self.due.ordered(self.candidates) if each in able]
        *first, last = able
        for each in first:
            if not caller.breaker.lets(each.provider):
                continue
            call = self._call(segment, sound, activity, each, kind=kind)
            call.policy, call.is_last = IMPATIENT, False
            due_at = None if self.due is None else self.due.due_at
            sound_ms = Excerpt(segment.spans).duration_ms
            call.patience_s = await self.speeds.patience_s(each, sound_ms, due_at)
            try:
                await caller.obtain(call)
            except (CallError, BudgetError) as error:
                if caller.is_stopped:
                    raise
                who = {"run": caller.context.run_id, "job": segment.job_id, "segment": segment.index}
                _log.info("segment %d goes on to the next provider: %s", segment.index, error, extra=who)
            else:
                return
        await caller.obtain(self._call(segment, sound, activity, last, kind=kind))

    def _able(self, activity: Activity) -> list[Candidate]:
        """Return who can be asked, in order: to translate, those whose models do."""
        if activity is not Activity.TRANSLATION:
            return self.candidates
        models = self.caller.context.models
        return [each for each in self.candidates if models.get(each.model).translations] or self.candidates[
            :1
        ]

    def _reuse(self, segment: Segment) -> None:
        """Take an answer that one of the providers gave to a job of its own, if there is one; blocks."""
        ledger, cut = self.caller.context.ledger, plan_of_segment(segment)
        if self.clips is not None or ledger.answered([segment.cache_key]):
            return
        for each in self.candidates:
            form = self.caller.context.models.get(each.model).response_format
            alone = replace(self.settings, provider=each.provider, model=each.model, format=form, others=())
            key = alone.cache_key(self.sha256, cut.spans, channel=cut.channel, gain_db=cut.gain_db)
            answer = ledger.answers([key]).get(key)
            if answer is not None:
                ledger.put_result(segment.cache_key, answer)
                return

    @property
    def candidates(self) -> list[Candidate]:
        """Who can be asked, in order."""
        return Candidate.chain(self.settings.provider, self.settings.model, self.settings.others)

    async def _translate(self, segment: Segment, sound: Path) -> None:
        """Get a segment its translation: by a model that transcribes, or by chat."""
        if self.settings.translator is None:
            await self._obtain(segment, sound, Activity.TRANSLATION)
        else:
            await self.caller.obtain(TranslateCall.of(self.caller.context, segment, self.settings))

    @property
    def _reviewer(self) -> Reviewer:
        return Reviewer(self.caller.context, self.settings, self._ask_again)

    async def _ask_again(self, piece: Segment, sound: Path) -> None:
        """Have a segment that lacks words transcribed again, or a piece of it."""
        with self.caller.waits.asking_again():
            await self._obtain(piece, sound, kind=RepeatedCall)

    def _call(
        self,
        segment: Segment,
        sound: Path,
        activity: Activity,
        asked: Candidate | None = None,
        *,
        kind: type[TranscribeCall] = TranscribeCall,
    ) -> TranscribeCall:
        asked = asked or self.candidates[0]
        settings, key = self.settings, segment.cache_key
        is_translation = activity is Activity.TRANSLATION
        clips = None if is_translation else self.clips
        return kind(
            context=self.caller.context,
            job_id=segment.job_id,
            index=segment.index,
            cache_key=settings.translation_key(key) if is_translation else key,
            target=Target(asked.provider, asked.model),
            is_one_of_several=bool(settings.others),
            activity=activity,
            segment=segment,
            request=TranscriptionRequest(
                asked.model,
                languages=settings.languages,
                prompt=settings.prompt,
                keywords=settings.keywords,
                diarize=settings.speakers == Speakers.MODEL,
            ),
            sound=sound,
            languages=self.vote,
            second=self.second,
            speakers=None if clips is None else partial(clips.before, segment.index),
        )
