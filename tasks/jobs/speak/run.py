"""Speaking a whole text: its pieces side by side, then joined and stored."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.tables import Artifact
from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.private import make_folder
from stenoflow.tasks.api.speech import CONTENT_TYPES, SpeechFormat
from stenoflow.tasks.api.types import Target
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.calls.live_stream import ListenerGoneError, LivePiece
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.speak import SpeakCall, speak
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.plan import cut
from stenoflow.tasks.jobs.speak.script import SpeechScript, clean
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.speak.streaming import Joiner
from stenoflow.tasks.media.speech_audio import Samples, decode_speech, duration_ms, encode


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """A text that was spoken whole.

    Attributes:
        audio: the whole of it, in the store, as an artifact of its job.
        name: of that artifact, such as ``speech.mp3``.
        pieces: of how many it was made.
    """

    job_id: str
    audio: StoredAudio
    name: str
    pieces: int

    def artifact(self, context: AppContext) -> Artifact:
        """Return the row that records it, for `catalog.record_artifacts`."""
        audio = self.audio
        return Artifact(
            job_id=self.job_id,
            name=self.name,
            key=audio.key,
            uri=context.store.uri(audio.key),
            sha256=audio.sha256,
            bytes=audio.bytes,
        )


async def speak_text(
    caller: Caller,
    job_id: str,
    text: str,
    settings: SpeechSettings,
    *,
    first_index: int = 0,
    name: str = "speech",
    live: Callable[[SpeechScript], Sequence[LivePiece]] | None = None,
) -> SpeechResult:
    """Speak a text within a job that this run has claimed; what is stored already is not sent again.

    The pieces become segments of the job with the activity ``speaking``, from ``first_index`` on. They are
    spoken side by side, as the limiter allows; each is in the ledger, and its sound in the store
    under a key that jobs with the same text, voice and settings share. The whole is stored under
    ``<recording>/<job>/<name>.<format>``. Neither the state of the job nor its artifacts are changed: the
    caller does that (`SpeechResult.artifact`).

    Args:
        caller: makes the calls.
        job_id: the job.
        text: of any length; what cannot be seen is taken out of it.
        settings: from `stenoflow.tasks.jobs.speak.settings.speech_settings`.
        first_index: the number of the first segment.
        name: of the artifact, without its ending.
        live: makes a listener for each piece of the script; None: nobody listens.

    Raises:
        NothingToSayError: there is no word in the text.
        StenoflowError: some piece could not be spoken; those that could are kept, and saying it again
            asks for the others only. Of several errors the gravest for the others, else the first.
    """
    script = await run_blocking(cut, caller.context, job_id, clean(text), settings, first_index)
    listeners = live(script) if live is not None else [None] * len(script.spans)
    calls = [
        speak_call(
            caller.context,
            settings,
            piece,
            job_id=job_id,
            index=first_index + number,
            asked=script.asked,
            live=listener,
        )
        for number, (piece, listener) in enumerate(zip(script.pieces, listeners, strict=True))
    ]
    pieces = await _speak_all(caller, calls)
    audio = await run_blocking(store_whole, caller.context, job_id, script, pieces, name)
    return SpeechResult(job_id, audio, f"{name}.{settings.format}", len(pieces))


def speak_call(
    context: AppContext,
    settings: SpeechSettings,
    text: str,
    *,
    job_id: str,
    index: int,
    asked: SpeechFormat,
    live: LivePiece | None,
) -> SpeakCall:
    """Return the call that has a piece of a job's text spoken.

    Args:
        context: the tools.
        settings: of the voice.
        text: the piece.
        job_id: the job.
        index: the piece's segment.
        asked: the format to ask for.
        live: who listens while it comes; None: nobody.
    """
    return SpeakCall(
        context=context,
        job_id=job_id,
        index=index,
        cache_key=settings.cache_key(text, asked),
        target=Target(settings.provider, settings.model),
        request=settings.request(text, asked),
        live=live,
    )


async def _speak_all(caller: Caller, calls: Sequence[SpeakCall]) -> list[StoredAudio]:
    """Speak all pieces that can be; raises an error of one that cannot, once all have ended."""
    outcomes = await asyncio.gather(*(speak(caller, call) for call in calls), return_exceptions=True)
    errors = [each for each in outcomes if isinstance(each, BaseException)]
    if errors:
        raise min(errors, key=_gravity)
    return [each for each in outcomes if isinstance(each, StoredAudio)]


def _gravity(error: BaseException) -> int:
    """Order errors by which is to be told: what nobody expects, what went wrong, what followed from it."""
    if not isinstance(error, StenoflowError):
        return 0
    return 2 if isinstance(error, ListenerGoneError) else 1


def store_whole(
    context: AppContext,
    job_id: str,
    script: SpeechScript,
    pieces: Sequence[StoredAudio],
    name: str = "speech",
) -> StoredAudio:
    """Join the sound of all pieces and store the whole as an artifact's file; calls nobody.

    A single piece that is in the wanted format is stored as the API gave it.
    """
    form = script.settings.format
    key = f"{context.catalog.job(job_id).recording_id}/{job_id}/{name}.{form}"
    content_type = CONTENT_TYPES[form]
    if len(pieces) == 1 and pieces[0].form == form:
        data = context.store.get_bytes(pieces[0].key)
        context.store.put_bytes(key, data, content_type=content_type)
        return StoredAudio.of(key, data, form, pieces[0].ms)
    # Where what a killed run leaves is found, and erased with what it is of.
    work = context.settings.work / "segments"
    make_folder(work)
    with tempfile.TemporaryDirectory(prefix=f"{job_id}.speech-", dir=work) as folder:
        path = Path(folder, f"{name}.{form}")
        samples = encode(_joined(context, script, pieces), path, form, ffmpeg=context.ffmpeg)
        context.store.put_file(key, path, content_type=content_type)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return StoredAudio(key, sha256, path.stat().st_size, content_type, duration_ms(samples))


def _joined(context: AppContext, script: SpeechScript, pieces: Sequence[StoredAudio]) -> Iterator[Samples]:
    """Yield the samples of all pieces in order, with natural pauses between them."""
    joiner = Joiner()
    for pause, piece in zip(script.pauses, pieces, strict=True):
        joiner.begin(pause)
        data = context.store.get_bytes(piece.key)
        yield joiner.feed(decode_speech(data, piece.form, ffmpeg=context.ffmpeg))
        yield joiner.end()
    yield joiner.finish()
