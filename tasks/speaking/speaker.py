"""Getting one piece of a text spoken: its sound from the store, or from the API, every call in the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from storage.database.ledger import Request
from storage.database.postings import Bill
from storage.database.states import Activity, SegmentState
from storage.database.tables import Segment
from storage.errors import AnsweredError, DiskFullError, ObjectStoreError, StenoflowError, TakenError
from tasks.audio_api.client import AudioApi
from tasks.audio_api.errors import BadAnswerError, CallError, UnknownOutcomeError, UnreachableError
from tasks.audio_api.gate import Gate
from tasks.audio_api.retrying import RetryPolicy, with_retries
from tasks.audio_api.speech import Sound, SpeechFormat
from tasks.errors import MediaError
from tasks.media.spoken import duration_ms, samples_of
from tasks.settling import settle
from tasks.speaking import bills
from tasks.speaking.live import LivePiece, StreamBrokenError
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.stored import StoredAudio, piece_key
from tasks.transcription import NoRoomError
from tasks.workshop import Workshop

# How often to look for the answer to what another run has asked.
_LOOK_AGAIN_S = 1.0
# No voice says more signs in a second: sound that is shorter has lost its end. Twice what auctioneers do.
_MOST_SIGNS_A_SECOND = 50
# Of few signs nothing can be told: "&" may be a long word, and "..." none.
_FEWEST_SIGNS = 40


@dataclass(frozen=True, slots=True)
class Task:
    """One piece to be spoken.

    Attributes:
        asked: the format to ask for.
        live: who listens while it comes; None: nobody.
    """

    job_id: str
    index: int
    text: str
    settings: SpeechSettings
    asked: SpeechFormat
    live: LivePiece | None = None

    @property
    def work_key(self) -> str:
        """Under which its answer is stored."""
        return self.settings.work_key(self.text, self.asked)


@dataclass(slots=True)
class Speaker:
    """Speaks pieces of text at one provider; belongs to one event loop.

    Attributes:
        gate: how many calls at once, and the stop for all.
    """

    workshop: Workshop
    api: AudioApi
    gate: Gate
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    # The same text may come in twice in one call; the second waits for the first one's sound.
    _asked: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def speak(self, task: Task) -> StoredAudio:
        """Get a piece its sound, in the store; nothing is sent where it is there already.

        The piece is a segment of its job, which this run has claimed (`catalog.add_segment`, with the
        activity ``speaking`` and the task's work key).

        Raises:
            CallError: the API gave none; the segment is parked, unless the provider as a whole is stopped.
            BudgetError: the budget has no room for the call.
            ListenerGoneError: whoever was to listen does not any more; nothing was sent.
            ObjectStoreError, DiskFullError: the sound cannot be stored.
        """
        if task.live is not None:
            await task.live.turn()
        async with self._asked.setdefault(task.work_key, asyncio.Lock()):
            try:
                audio = await self._found(task) or await self._ask(task)
            except BaseException as error:
                if task.live is not None:
                    task.live.fail(error)
                if isinstance(error, StenoflowError):
                    self._stop_for_all(error)
                    await settle(self.workshop.ledger.park, task.job_id, task.index, error)
                raise
            if task.live is not None:
                task.live.close(audio)
            return audio

    async def _found(self, task: Task) -> StoredAudio | None:
        """Return the sound that is stored, if there is any, and say that the piece is done."""
        audio = await settle(_stored_or_withdrawn, self.workshop, task.work_key)
        if audio is None:
            return None
        segment: Segment = await settle(self.workshop.catalog.segment, task.job_id, task.index)
        if segment.state != SegmentState.DONE:
            await settle(self.workshop.ledger.reuse, task.job_id, task.index)
        return audio

    async def _ask(self, task: Task) -> StoredAudio:
        """Ask for it; while another run, which is alive, asks for the same, wait for its answer."""
        while True:
            try:
                return await with_retries(lambda _: self._attempt(task), policy=self.policy)
            except AnsweredError:
                pass
            except TakenError:
                await asyncio.sleep(_LOOK_AGAIN_S)
            found = await self._found(task)
            if found is not None:
                return found

    async def _attempt(self, task: Task) -> StoredAudio:
        """Send it once: reserve, call, store, record."""
        ledger = self.workshop.ledger
        price = bills.price_of(self.workshop, task.settings)
        async with self.gate.slot():
            reserve = bills.reserve(price, len(task.text), task.settings.speed)
            attempt_id = await settle(ledger.begin, self._request(task, reserve))
            try:
                audio = await self._call(task)
            except BaseException as error:
                await self._end(attempt_id, task, error)
                if task.live is not None and task.live.is_begun and isinstance(error, CallError):
                    hint = "run it again: only what is missing is sent"
                    raise StreamBrokenError(error.message, hint) from error
                raise
            bill = bills.charge(price, len(task.text), audio.ms)
            await settle(ledger.succeed, attempt_id, audio.to_json(), bill)
            return audio

    async def _call(self, task: Task) -> StoredAudio:
        if task.live is not None:
            task.live.restart()
        sound = await self.api.speak(
            task.settings.request(task.text, task.asked),
            (lambda _: None) if task.live is None else task.live.put,
        )
        return await settle(self._store, task, sound)

    def _store(self, task: Task, sound: Sound) -> StoredAudio:
        """Put sound into the store, before the ledger says that it is there."""
        whom = f"{task.settings.model} at {task.settings.provider}"
        hint = "it was probably charged, and is recorded so"
        try:
            samples = samples_of(sound.data, sound.format, ffmpeg=self.workshop.ffmpeg)
        except MediaError as error:
            raise BadAnswerError(f"{whom} sent what cannot be decoded: {error.message}", hint) from error
        ms = duration_ms(samples.size)
        if ms < least_ms(task.text, task.settings.speed):
            raise BadAnswerError(f"{whom} sent {ms / 1000:.1f} s for {len(task.text)} characters", hint)
        key = piece_key(task.work_key, sound.format)
        audio = StoredAudio.of(key, sound.data, sound.format, ms)
        self.workshop.store.put_bytes(key, sound.data, content_type=audio.content_type)
        return audio

    def _request(self, task: Task, reserve: Bill) -> Request:
        return Request(
            task.job_id,
            task.index,
            task.work_key,
            self.workshop.run_id,
            task.settings.provider,
            task.settings.model,
            reserve,
            Activity.SPEAKING,
        )

    async def _end(self, attempt_id: str, task: Task, error: BaseException) -> None:
        """Record a call without a result. One that was broken off here may have been charged too."""
        ledger = self.workshop.ledger
        if isinstance(error, CallError) and error.charged == "no":
            await settle(ledger.refuse, attempt_id, error)
        elif isinstance(error, StenoflowError):
            await settle(ledger.lose, attempt_id, error)
        else:
            what = f"piece {task.index}: the call was broken off ({type(error).__name__})"
            await settle(ledger.lose, attempt_id, UnknownOutcomeError(what))

    def _stop_for_all(self, error: StenoflowError) -> None:
        """Stop all calls where none of them could do better."""
        if isinstance(error, UnreachableError):
            self.gate.stop(error)
        elif isinstance(error, DiskFullError | ObjectStoreError):
            self.gate.stop(NoRoomError(error.message, error.hint))


def stored_audio(workshop: Workshop, work_key: str) -> StoredAudio | None:
    """Return the sound that answers a piece, if both the answer and the sound are there."""
    answer = workshop.ledger.answers([work_key]).get(work_key)
    audio = None if answer is None else StoredAudio.from_json(answer)
    return audio if audio is not None and workshop.store.exists(audio.key) else None


def _stored_or_withdrawn(workshop: Workshop, work_key: str) -> StoredAudio | None:
    """Return the sound that is stored. An answer whose sound is gone is withdrawn, to be had again."""
    audio = stored_audio(workshop, work_key)
    gone = None if audio is not None else workshop.ledger.answers([work_key]).get(work_key)
    if gone is not None and not workshop.store.exists(StoredAudio.from_json(gone).key):
        workshop.ledger.withdraw(work_key, gone)
    return audio


def least_ms(text: str, speed: float) -> int:
    """Return how long a text takes at the very least to be said."""
    signs = sum(sign.isalnum() for sign in text)
    return 0 if signs < _FEWEST_SIGNS else round(signs * 1000 / (_MOST_SIGNS_A_SECOND * speed))
