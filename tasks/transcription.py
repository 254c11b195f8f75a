"""Transcribing one segment: its answer from the store, or from the API, with every call in the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakValueDictionary

from storage.database.states import Activity, SegmentState
from storage.errors import AnsweredError, DiskFullError, StenoflowError, TakenError
from tasks.audio_api.client import AudioApi
from tasks.audio_api.errors import CallError, UnreachableError
from tasks.audio_api.gate import Gate
from tasks.audio_api.retrying import RetryPolicy, with_retries
from tasks.calling import Call
from tasks.job_settings import JobSettings
from tasks.languages.agreement import Agreement
from tasks.settling import settle
from tasks.speakers.voices import Voices
from tasks.translation.by_chat import ChatTranslation
from tasks.translation.translating import untranslated
from tasks.workshop import Workshop


class NoRoomError(CallError):
    """It was not sent: there is no room to store what comes back."""

    kind = DiskFullError.kind
    scope = "provider"


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
    _asked: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _agreements: dict[str, Agreement] = field(default_factory=dict)

    async def transcribe(self, job_id: str, index: int, sound: Path, voices: Voices | None = None) -> None:
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
        segment = await settle(self.workshop.catalog.segment, job_id, index)
        if segment.state == SegmentState.SILENT:
            return
        agreement = await self._agreement(job_id)
        call = Call(self.workshop, self.api, self.gate, segment, agreement, sound)
        if segment.state != SegmentState.DONE:
            await self._have(call, voices)
            await agreement.heard(segment)
        if await settle(untranslated, self.workshop, agreement.settings, [segment.work_key]):
            await self._have(self._translation(call))

    def _translation(self, call: Call) -> Call | ChatTranslation:
        """Return the call that translates: by the model that hears, or by chat of what was heard."""
        if call.settings.translator is None:
            return replace(call, activity=Activity.TRANSLATING)
        return ChatTranslation(self.workshop, self.api, self.gate, call.segment, call.settings)

    def forget(self, job_id: str) -> None:
        """Forget a job that has ended."""
        self._agreements.pop(job_id, None)

    async def _agreement(self, job_id: str) -> Agreement:
        if job_id not in self._agreements:
            job = await settle(self.workshop.catalog.job, job_id)
            settings = JobSettings.from_dict(job.settings)
            self._agreements.setdefault(job_id, Agreement(self.workshop, job_id, settings))
        return self._agreements[job_id]

    async def _have(self, call: Call | ChatTranslation, voices: Voices | None = None) -> None:
        """See that there is an answer: the stored one, or the API's."""
        job_id, index = call.segment.job_id, call.segment.index
        async with self._asked.setdefault(call.work_key, asyncio.Lock()):
            if await settle(self.workshop.ledger.answered, [call.work_key]):
                await settle(self.workshop.ledger.reuse, job_id, index)
                return
            if voices is not None and isinstance(call, Call):
                call = replace(call, voices=await voices.before(index))
            try:
                await self._ask(call)
            except AnsweredError:
                await settle(self.workshop.ledger.reuse, job_id, index)
            except StenoflowError as error:
                self._stop_for_all(error)
                stopped = isinstance(error, CallError) and error.scope == "provider"
                if not stopped and await call.is_answered_by_what_was_doubted():
                    return
                await settle(self.workshop.ledger.park, job_id, index, error)
                raise

    def _stop_for_all(self, error: StenoflowError) -> None:
        """Stop all calls where none of them could do better."""
        if isinstance(error, UnreachableError):
            # Each of the others would find out as slowly.
            self.gate.stop(error)
        elif isinstance(error, DiskFullError):
            # Its answer could not be stored, so nobody else's could.
            self.gate.stop(NoRoomError(error.message, error.hint))

    async def _ask(self, call: Call | ChatTranslation) -> None:
        """Ask for it; while another run, which is alive, asks for the same, wait for its answer."""
        while True:
            try:
                if await with_retries(call.attempt, policy=self.policy):
                    return
            except TakenError:
                await asyncio.sleep(_LOOK_AGAIN_S)
