"""A piece of text to be spoken, as a paid call: its sound goes to the store, and to whoever listens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from stenoflow.storage.database.charges import Bill
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.errors import BadAnswerError, CallError
from stenoflow.tasks.api.speech import Sound, SpeechRequest
from stenoflow.tasks.calls.audio_cache import StoredAudio, piece_key
from stenoflow.tasks.calls.bills import bill_speech, reserve_speech
from stenoflow.tasks.calls.live_stream import LivePiece, StreamBrokenError
from stenoflow.tasks.calls.paid_call import Accepted, Caller, PaidCall, Verdict
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import MediaError
from stenoflow.tasks.media.speech_audio import decode_speech, duration_ms

# No voice says more signs in a second: sound that is shorter has lost its end. Twice what auctioneers do.
_MOST_SIGNS_A_SECOND = 50
# Of few signs nothing can be told: "&" may be a long word, and "..." none.
_FEWEST_SIGNS = 40


@dataclass(slots=True, kw_only=True)
class SpeakCall(PaidCall[StoredAudio]):
    """Has one piece of text spoken; see `speak`.

    Attributes:
        live: who listens while it comes; None: nobody.
        audio: the sound in the store, once the call is obtained.
    """

    noun: ClassVar[str] = "piece"

    activity: Activity = Activity.SPEECH
    request: SpeechRequest
    live: LivePiece | None = None
    audio: StoredAudio | None = field(default=None, init=False)

    def is_answered(self) -> bool:
        """Look for the sound. An answer whose sound is gone is withdrawn, to be had again."""
        self.audio = stored_audio(self.context, self.cache_key)
        if self.audio is None:
            self._withdraw()
        return self.audio is not None

    def _withdraw(self) -> None:
        ledger = self.context.ledger
        answer = ledger.answers([self.cache_key]).get(self.cache_key)
        if answer is not None and not self.context.store.exists(StoredAudio.from_json(answer).key):
            ledger.withdraw(self.cache_key, answer)

    def reserve(self) -> Bill:
        """Reserve the most that the text may cost."""
        return reserve_speech(self.price, len(self.request.text), self.request.speed)

    async def send(self, api: AudioApi) -> StoredAudio:
        """Send the text, and store its sound before the ledger says that it is there.

        Raises:
            StreamBrokenError: the API stopped after somebody had heard the beginning.
        """
        live = self.live
        if live is not None:
            live.restart()
        try:
            sound = await api.speak(self._as_asked(), (lambda _: None) if live is None else live.put)
            self.audio = await run_blocking(self._store, sound)
        except CallError as error:
            if live is not None and live.is_begun:
                hint = "run it again: only what is missing is sent"
                raise StreamBrokenError(error.message, hint) from error
            raise
        return self.audio

    def _as_asked(self) -> SpeechRequest:
        """Return the request as its model takes it: some are told in the text how to say it."""
        request = self.request
        if not request.instructions or self.context.speech_models.get(request.model).instructions != "text":
            return request
        return replace(
            request, text=f"{request.instructions.rstrip(': ')}: {request.text}", instructions=None
        )

    def _store(self, sound: Sound) -> StoredAudio:
        text, hint = self.request.text, "it was probably charged, and is recorded so"
        try:
            samples = decode_speech(sound.data, sound.format, ffmpeg=self.context.ffmpeg)
        except MediaError as error:
            raise BadAnswerError(
                f"{self.target} sent what cannot be decoded: {error.message}", hint
            ) from error
        ms = duration_ms(samples.size)
        if ms < least_ms(text, self.request.speed):
            raise BadAnswerError(f"{self.target} sent {ms / 1000:.1f} s for {len(text)} characters", hint)
        key = piece_key(self.cache_key, sound.format)
        audio = StoredAudio.of(key, sound.data, sound.format, ms)
        self.context.store.put_bytes(key, sound.data, content_type=audio.content_type)
        return audio

    def accept(self, answer: StoredAudio) -> Verdict:
        """Take the sound: what is no good did not get this far."""
        return Accepted(answer.to_json())

    def bill(self, answer: StoredAudio) -> Bill:
        """Charge the characters or the minutes."""
        return bill_speech(self.price, len(self.request.text), answer.ms)


async def speak(caller: Caller, call: SpeakCall) -> StoredAudio:
    """Get a piece its sound, in the store; whoever listens hears it, or why it does not come.

    Raises:
        ListenerGoneError: whoever was to listen does not any more; nothing was sent.
        StenoflowError: see `Caller.obtain`.
    """
    live = call.live
    if live is not None:
        await live.turn()
    try:
        await caller.obtain(call)
    except BaseException as error:
        if live is not None:
            live.fail(error)
        raise
    if call.audio is None:
        raise RuntimeError("a call that was obtained has its sound")
    if live is not None:
        live.close(call.audio)
    return call.audio


def stored_audio(context: AppContext, cache_key: str) -> StoredAudio | None:
    """Return the sound that answers a piece, if both the answer and the sound are there."""
    answer = context.ledger.answers([cache_key]).get(cache_key)
    audio = None if answer is None else StoredAudio.from_json(answer)
    return audio if audio is not None and context.store.exists(audio.key) else None


def least_ms(text: str, speed: float) -> int:
    """Return how long a text takes at the very least to be said."""
    signs = sum(sign.isalnum() for sign in text)
    return 0 if signs < _FEWEST_SIGNS else round(signs * 1000 / (_MOST_SIGNS_A_SECOND * speed))
