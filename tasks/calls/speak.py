"""Getting one piece of a text spoken: its sound from the store, or from the API, every call in the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from stenoflow.storage.database.ledger import Request
from stenoflow.storage.database.postings import Bill
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity, SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.errors import (
    AnsweredError,
    DiskFullError,
    ObjectStoreError,
    StenoflowError,
    TakenError,
)
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import BadAnswerError, CallError, UnknownOutcomeError, UnreachableError
from stenoflow.tasks.api.limiter import Limiter
from stenoflow.tasks.api.retry import RetryPolicy, with_retries
from stenoflow.tasks.api.speech import Sound, SpeechFormat
from stenoflow.tasks.calls import bills
from stenoflow.tasks.calls.audio_cache import StoredAudio, piece_key
from stenoflow.tasks.calls.live_stream import LivePiece, StreamBrokenError
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.transcribe.run import NoDiskSpaceError
from stenoflow.tasks.media.speech_audio import decode_speech, duration_ms

# How often to look for the answer to what another run has asked.
_LOOK_AGAIN_S = 1.0
# No voice says more signs in a second: sound that is shorter has lost its end. Twice what auctioneers do.
_MOST_SIGNS_A_SECOND = 50
# Of few signs nothing can be told: "&" may be a long word, and "..." none.
_FEWEST_SIGNS = 40


@dataclass(frozen=True, slots=True)
class SpeakCall:
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
    def cache_key(self) -> str:
        """Under which its answer is stored."""
        return self.settings.cache_key(self.text, self.asked)


@dataclass(slots=True)
class SpeechCaller:
    """Speaks pieces of text at one provider; belongs to one event loop.

    Attributes:
        limiter: how many calls at once, and the stop for all.
    """

    context: AppContext
    api: AudioApi
    limiter: Limiter
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    # The same text may come in twice in one call; the second waits for the first one's sound.
    _asked: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def speak(self, task: SpeakCall) -> StoredAudio:
        """Get a piece its sound, in the store; nothing is sent where it is there already.

        The piece is a segment of its job, which this run has claimed (`catalog.add_segment`, with the
        activity ``speaking`` and the task's cache key).

        Raises:
            CallError: the API gave none; the segment is parked, unless the provider as a whole is stopped.
            BudgetError: the budget has no room for the call.
            ListenerGoneError: whoever was to listen does not any more; nothing was sent.
            ObjectStoreError, DiskFullError: the sound cannot be stored.
        """
        if task.live is not None:
            await task.live.turn()
        async with self._asked.setdefault(task.cache_key, asyncio.Lock()):
            try:
                audio = await self._found(task) or await self._ask(task)
            except BaseException as error:
                if task.live is not None:
                    task.live.fail(error)
                if isinstance(error, StenoflowError):
                    self._stop_for_all(error)
                    await run_blocking(self.context.ledger.fail_segment, task.job_id, task.index, error)
                raise
            if task.live is not None:
                task.live.close(audio)
            return audio

    async def _found(self, task: SpeakCall) -> StoredAudio | None:
        """Return the sound that is stored, if there is any, and say that the piece is done."""
        audio = await run_blocking(_stored_or_withdrawn, self.context, task.cache_key)
        if audio is None:
            return None
        segment: Segment = await run_blocking(self.context.catalog.segment, task.job_id, task.index)
        if segment.state != SegmentState.DONE:
            await run_blocking(self.context.ledger.mark_cached, task.job_id, task.index)
        return audio

    async def _ask(self, task: SpeakCall) -> StoredAudio:
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

    async def _attempt(self, task: SpeakCall) -> StoredAudio:
        """Send it once: reserve, call, store, record."""
        ledger = self.context.ledger
        price = bills.speech_price(self.context, task.settings)
        async with self.limiter.slot():
            reserve = bills.reserve_speech(price, len(task.text), task.settings.speed)
            attempt_id = await run_blocking(ledger.begin, self._request(task, reserve))
            try:
                audio = await self._call(task)
            except BaseException as error:
                await self._end(attempt_id, task, error)
                if task.live is not None and task.live.is_begun and isinstance(error, CallError):
                    hint = "run it again: only what is missing is sent"
                    raise StreamBrokenError(error.message, hint) from error
                raise
            bill = bills.bill_speech(price, len(task.text), audio.ms)
            await run_blocking(ledger.succeed, attempt_id, audio.to_json(), bill)
            return audio

    async def _call(self, task: SpeakCall) -> StoredAudio:
        if task.live is not None:
            task.live.restart()
        sound = await self.api.speak(
            task.settings.request(task.text, task.asked),
            (lambda _: None) if task.live is None else task.live.put,
        )
        return await run_blocking(self._store, task, sound)

    def _store(self, task: SpeakCall, sound: Sound) -> StoredAudio:
        """Put sound into the store, before the ledger says that it is there."""
        whom = f"{task.settings.model} at {task.settings.provider}"
        hint = "it was probably charged, and is recorded so"
        try:
            samples = decode_speech(sound.data, sound.format, ffmpeg=self.context.ffmpeg)
        except MediaError as error:
            raise BadAnswerError(f"{whom} sent what cannot be decoded: {error.message}", hint) from error
        ms = duration_ms(samples.size)
        if ms < least_ms(task.text, task.settings.speed):
            raise BadAnswerError(f"{whom} sent {ms / 1000:.1f} s for {len(task.text)} characters", hint)
        key = piece_key(task.cache_key, sound.format)
        audio = StoredAudio.of(key, sound.data, sound.format, ms)
        self.context.store.put_bytes(key, sound.data, content_type=audio.content_type)
        return audio

    def _request(self, task: SpeakCall, reserve: Bill) -> Request:
        return Request(
            task.job_id,
            task.index,
            task.cache_key,
            self.context.run_id,
            task.settings.provider,
            task.settings.model,
            reserve,
            Activity.SPEECH,
        )

    async def _end(self, attempt_id: str, task: SpeakCall, error: BaseException) -> None:
        """Record a call without a result. One that was broken off here may have been charged too."""
        ledger = self.context.ledger
        if isinstance(error, CallError) and error.charged == "no":
            await run_blocking(ledger.refuse, attempt_id, error)
        elif isinstance(error, StenoflowError):
            await run_blocking(ledger.mark_unknown, attempt_id, error)
        else:
            what = f"piece {task.index}: the call was broken off ({type(error).__name__})"
            await run_blocking(ledger.mark_unknown, attempt_id, UnknownOutcomeError(what))

    def _stop_for_all(self, error: StenoflowError) -> None:
        """Stop all calls where none of them could do better."""
        if isinstance(error, UnreachableError):
            self.limiter.stop(error)
        elif isinstance(error, DiskFullError | ObjectStoreError):
            self.limiter.stop(NoDiskSpaceError(error.message, error.hint))


def stored_audio(context: AppContext, cache_key: str) -> StoredAudio | None:
    """Return the sound that answers a piece, if both the answer and the sound are there."""
    answer = context.ledger.answers([cache_key]).get(cache_key)
    audio = None if answer is None else StoredAudio.from_json(answer)
    return audio if audio is not None and context.store.exists(audio.key) else None


def _stored_or_withdrawn(context: AppContext, cache_key: str) -> StoredAudio | None:
    """Return the sound that is stored. An answer whose sound is gone is withdrawn, to be had again."""
    audio = stored_audio(context, cache_key)
    gone = None if audio is not None else context.ledger.answers([cache_key]).get(cache_key)
    if gone is not None and not context.store.exists(StoredAudio.from_json(gone).key):
        context.ledger.withdraw(cache_key, gone)
    return audio


def least_ms(text: str, speed: float) -> int:
    """Return how long a text takes at the very least to be said."""
    signs = sum(sign.isalnum() for sign in text)
    return 0 if signs < _FEWEST_SIGNS else round(signs * 1000 / (_MOST_SIGNS_A_SECOND * speed))
