"""Transcribing one segment: its answer from the store, or from the API, with every call in the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from storage.database.states import SegmentState
from storage.errors import AnsweredError, DiskFullError, StenoflowError, TakenError
from tasks.audio_api.client import AudioApi
from tasks.audio_api.errors import CallError, UnreachableError
from tasks.audio_api.gate import Gate
from tasks.audio_api.retrying import RetryPolicy, with_retries
from tasks.calling import Call
from tasks.job_settings import JobSettings
from tasks.settling import settle
from tasks.voices import Voices
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

    async def transcribe(self, job_id: str, index: int, sound: Path, voices: Voices | None = None) -> None:
        """Get a segment its answer and store it; nothing is sent where it is stored already.

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
        if segment.state in {SegmentState.DONE, SegmentState.SILENT}:
            return
        async with self._asked.setdefault(segment.work_key, asyncio.Lock()):
            if await settle(self.workshop.ledger.answered, [segment.work_key]):
                await settle(self.workshop.ledger.reuse, job_id, index)
                return
            job = await settle(self.workshop.catalog.job, job_id)
            known = () if voices is None else await voices.before(index)
            call = Call(
                self.workshop, self.api, self.gate, segment, JobSettings.from_dict(job.settings), sound, known
            )
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

    async def _ask(self, call: Call) -> None:
        """Ask for it; while another run, which is alive, asks for the same, wait for its answer."""
        while True:
            try:
                if await with_retries(call.attempt, policy=self.policy):
                    return
            except TakenError:
                await asyncio.sleep(_LOOK_AGAIN_S)
