"""Transcribing one segment: its answer from the store, or from the API, with every call in the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakValueDictionary

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, SegmentState
from stenoflow.storage.errors import AnsweredError, DiskFullError, StenoflowError, TakenError
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import CallError, UnreachableError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.retry import RetryPolicy, with_retries
from stenoflow.tasks.assembly.assemble import untranslated
from stenoflow.tasks.assembly.settings import JobSettings
from stenoflow.tasks.calls.transcribe import TranscribeCall
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.transcribe.language_vote import LanguageVote
from stenoflow.tasks.jobs.transcribe.speaker_clips import SpeakerClips
from stenoflow.tasks.jobs.translate.run import TranslateCall


class NoDiskSpaceError(CallError):
    """It was not sent: there is no room to store what comes back."""

    kind = DiskFullError.kind
    scope = "provider"


# How often to look for the answer to what another run has asked.
_LOOK_AGAIN_S = 1.0


@dataclass(slots=True)
class Transcriber:
    """Transcribes segments at one provider; belongs to one event loop.

    Attributes:
        limiter: how many calls at once, and the stop for all.
    """

    context: AppContext
    api: AudioApi
    limiter: Limiter
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    # The same audio may come in twice in one call; the second waits for the first one's answer.
    _asked: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _agreements: dict[str, LanguageVote] = field(default_factory=dict)

    async def transcribe(
        self, job_id: str, index: int, sound: Path, voices: SpeakerClips | None = None
    ) -> None:
        """Get a segment its answer and store it; nothing is sent where it is stored already.

        Where the job is to be translated, the same goes for the segment's translation.

        Args:
            job_id: the job.
            index: the segment.
            sound: its MP3; need not exist where the answer is stored.
            voices: gives who may speak in it, once that is known.

        Raises:
            CallError: the API gave none; the segment is parked, unless the provider as a whole is stopped.
            BudgetError: the budget has no room for the call.
        """
        segment = await run_blocking(self.context.catalog.segment, job_id, index)
        if segment.state == SegmentState.SILENT:
            return
        agreement = await self._agreement(job_id)
        call = TranscribeCall(self.context, self.api, self.limiter, segment, agreement, sound)
        if segment.state != SegmentState.DONE:
            await self._have(call, voices)
            await agreement.heard(segment)
        if await run_blocking(untranslated, self.context, agreement.settings, [segment.cache_key]):
            await self._have(self._translation(call))

    def _translation(self, call: TranscribeCall) -> TranscribeCall | TranslateCall:
        """Return the call that translates: by the model that hears, or by chat of what was heard."""
        if call.settings.translator is None:
            return replace(call, activity=Activity.TRANSLATION)
        return TranslateCall(self.context, self.api, self.limiter, call.segment, call.settings)

    def forget(self, job_id: str) -> None:
        """Forget a job that has ended."""
        self._agreements.pop(job_id, None)

    async def _agreement(self, job_id: str) -> LanguageVote:
        if job_id not in self._agreements:
            job = await run_blocking(self.context.catalog.job, job_id)
            settings = JobSettings.from_dict(job.settings)
            self._agreements.setdefault(job_id, LanguageVote(self.context, job_id, settings))
        return self._agreements[job_id]

    async def _have(self, call: TranscribeCall | TranslateCall, voices: SpeakerClips | None = None) -> None:
        """See that there is an answer: the stored one, or the API's."""
        job_id, index = call.segment.job_id, call.segment.index
        async with self._asked.setdefault(call.cache_key, asyncio.Lock()):
            if await run_blocking(self.context.ledger.answered, [call.cache_key]):
                await run_blocking(self.context.ledger.mark_cached, job_id, index)
                return
            if voices is not None and isinstance(call, TranscribeCall):
                call = replace(call, voices=await voices.before(index))
            try:
                await self._ask(call)
            except AnsweredError:
                await run_blocking(self.context.ledger.mark_cached, job_id, index)
            except StenoflowError as error:
                self._stop_for_all(error)
                stopped = isinstance(error, CallError) and error.scope == "provider"
                if not stopped and await call.accept_suspect():
                    return
                await run_blocking(self.context.ledger.fail_segment, job_id, index, error)
                raise

    def _stop_for_all(self, error: StenoflowError) -> None:
        """Stop all calls where none of them could do better."""
        if isinstance(error, UnreachableError):
            # Each of the others would find out as slowly.
            self.limiter.stop(error)
        elif isinstance(error, DiskFullError):
            # Its answer could not be stored, so nobody else's could.
            self.limiter.stop(NoDiskSpaceError(error.message, error.hint))

    async def _ask(self, call: TranscribeCall | TranslateCall) -> None:
        """Ask for it; while another run, which is alive, asks for the same, wait for its answer."""
        while True:
            try:
                if await with_retries(call.attempt, policy=self.policy):
                    return
            except TakenError:
                await asyncio.sleep(_LOOK_AGAIN_S)
