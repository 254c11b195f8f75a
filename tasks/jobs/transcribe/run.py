"""Transcribe the segments of one job, and translate them where that is wished."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.tasks.api.requests import TranscriptionRequest
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.settings import JobSettings, Speakers
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.transcribe import TranscribeCall
from stenoflow.tasks.jobs.transcribe.language_vote import LanguageVote
from stenoflow.tasks.jobs.transcribe.prepare import PreparedJob
from stenoflow.tasks.jobs.transcribe.speaker_clips import SpeakerClips
from stenoflow.tasks.jobs.translate.run import TranslateCall


@dataclass(frozen=True, slots=True)
class SegmentTranscriber:
    """Transcribes the segments of one job; belongs to one event loop.

    Attributes:
        vote: on the job's language.
        clips: of who speaks in it; None: the model does not tell voices apart.
    """

    caller: Caller
    settings: JobSettings
    vote: LanguageVote
    clips: SpeakerClips | None = None

    @classmethod
    def of(cls, caller: Caller, prepared: PreparedJob) -> Self:
        """Return what transcribes a job that is prepared."""
        settings = prepared.settings
        vote = LanguageVote(caller.context, prepared.job.id, settings)
        clips = SpeakerClips(caller.context, prepared) if settings.speakers == Speakers.MODEL else None
        return cls(caller, settings, vote, clips)

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
                await self.clips.heard()

    async def _transcribe(self, index: int, sound: Path) -> None:
        context = self.caller.context
        segment = await run_blocking(context.catalog.segment, self.vote.job_id, index)
        if segment.state == SegmentState.SILENT:
            return
        if segment.state != SegmentState.DONE:
            await self.caller.obtain(self._call(segment, sound, Activity.TRANSCRIPTION))
            await self.vote.heard(segment)
        if await run_blocking(untranslated, context, self.settings, [segment.cache_key]):
            await self.caller.obtain(self._translation(segment, sound))

    def _translation(self, segment: Segment, sound: Path) -> TranscribeCall | TranslateCall:
        """Return the call that translates: by the model that hears, or by chat of what was heard."""
        if self.settings.translator is None:
            return self._call(segment, sound, Activity.TRANSLATION)
        return TranslateCall.of(self.caller.context, segment, self.settings)

    def _call(self, segment: Segment, sound: Path, activity: Activity) -> TranscribeCall:
        settings, key = self.settings, segment.cache_key
        is_translation = activity is Activity.TRANSLATION
        clips = None if is_translation else self.clips
        return TranscribeCall(
            context=self.caller.context,
            job_id=segment.job_id,
            index=segment.index,
            cache_key=settings.translation_key(key) if is_translation else key,
            target=Target(settings.provider, settings.model),
            activity=activity,
            segment=segment,
            request=TranscriptionRequest(
                settings.model,
                languages=settings.languages,
                prompt=settings.prompt,
                keywords=settings.keywords,
            ),
            sound=sound,
            languages=self.vote,
            speakers=None if clips is None else partial(clips.before, segment.index),
        )
