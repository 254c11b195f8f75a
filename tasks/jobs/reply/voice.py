"""Speak an answer while it is being written: cut into sentences, spoken, streamed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stenoflow.storage.database.catalog import SegmentPlan
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import Activity
from stenoflow.storage.database.tables import Job
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.api.errors import CallError
from stenoflow.tasks.calls.audio_cache import StoredAudio
from stenoflow.tasks.calls.live_stream import LivePiece
from stenoflow.tasks.calls.paid_call import Caller
from stenoflow.tasks.calls.speak import speak, stored_audio
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.speak.run import speak_call, store_whole
from stenoflow.tasks.jobs.speak.script import SpeechScript, TextSpan, clean, is_speakable, pause_ms
from stenoflow.tasks.jobs.speak.settings import SpeechSettings
from stenoflow.tasks.jobs.speak.streaming import Joiner, LiveStream, Sink
from stenoflow.tasks.transcript.text import ends_sentence

_NAME = "reply"


class AnswerBrokenError(CallError):
    """The answer broke off after its beginning was spoken, which cannot be taken back."""

    kind = "stream-broken"
    charged = "possible"
    scope = "segment"


@dataclass(slots=True)
class SpokenReply:
    """Speaks the answer of one reply; belongs to an event loop.

    Attributes:
        job: the reply, which this run has claimed and whose first segment is the question.
        stream: who listens; None: nobody, and then nothing is spoken before the answer is whole.
    """

    caller: Caller
    job: Job
    settings: SpeechSettings
    stream: GrowingLiveStream | None = None
    _sentences: Sentences | None = None
    _spans: list[TextSpan] = field(default_factory=list)
    _at_work: list[asyncio.Task[StoredAudio]] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self) -> None:
        """Expect an answer from its beginning. Raises AnswerBrokenError if some of one was spoken."""
        if self._at_work:
            raise AnswerBrokenError(
                "the answer broke off while it was being spoken", "run it again: it is asked for anew"
            )
        self._sentences = self._new()

    def take(self, text: str) -> None:
        """Take what follows of the answer."""
        if self._sentences is not None and self.stream is not None:
            self._speak(self._sentences, self._sentences.feed(text))

    async def end(self, text: str) -> StoredAudio:
        """See the whole of an answer spoken, and stored as an artifact's file.

        Raises:
            StenoflowError: some piece could not be spoken; the others are kept.
        """
        sentences = self._sentences
        if sentences is None or sentences.text != text:
            if self._at_work:
                raise AnswerBrokenError("the answer is not what was told of it", "run it again")
            # It was stored before, or nobody listens.
            sentences = self._sentences = self._new()
            self._speak(sentences, sentences.feed(text))
        self._speak(sentences, sentences.end())
        if self.stream is not None:
            self.stream.finish()
        pieces = await self._all()
        script = SpeechScript(text, self.settings, tuple(self._spans))
        return await run_blocking(store_whole, self.caller.context, self.job.id, script, pieces, _NAME)

    async def settled(self) -> None:
        """Wait for the end of all calls under way: they are paid for."""
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def _new(self) -> Sentences:
        return Sentences(self.caller.context.speech_models.get(self.settings.model).max_characters)

    def _speak(self, sentences: Sentences, spans: list[TextSpan]) -> None:
        for span in spans:
            text = clean(sentences.text[span.start : span.end])
            if not is_speakable(text):
                continue
            pause = pause_ms(sentences.text, self._spans[-1], span) if self._spans else None
            live = None if self.stream is None else self.stream.add(pause)
            self._spans.append(span)
            self._at_work.append(asyncio.create_task(self._speak_one(text, span, live)))

    async def _speak_one(self, text: str, span: TextSpan, live: LivePiece | None) -> StoredAudio:
        context, asked = self.caller.context, self.settings.piece_format
        async with self._turn:
            key = self.settings.cache_key(text, asked)
            index = await run_blocking(_place, context, self.job.id, key, span)
        call = speak_call(
            context, self.settings, text, job_id=self.job.id, index=index, asked=asked, live=live
        )
        return await speak(self.caller, call)

    async def _all(self) -> list[StoredAudio]:
        outcomes = await asyncio.gather(*self._at_work, return_exceptions=True)
        errors = [each for each in outcomes if isinstance(each, BaseException)]
        for error in [*(each for each in errors if not isinstance(each, StenoflowError)), *errors]:
            raise error
        return [each for each in outcomes if isinstance(each, StoredAudio)]


def spoken_before(context: AppContext, job: Job, text: str, settings: SpeechSettings) -> StoredAudio | None:
    """Put the sound of an answer together from stored pieces; None where some are gone. Calls nobody."""
    sentences = Sentences(context.speech_models.get(settings.model).max_characters)
    spans = [*sentences.feed(text), *sentences.end()]
    said = [(span, clean(text[span.start : span.end])) for span in spans]
    told = [(span, piece) for span, piece in said if is_speakable(piece)]
    found = [stored_audio(context, settings.cache_key(piece, settings.piece_format)) for _, piece in told]
    pieces = [each for each in found if each is not None]
    if not pieces or len(pieces) < len(found):
        return None
    script = SpeechScript(text, settings, tuple(span for span, _ in told))
    return store_whole(context, job.id, script, pieces, _NAME)


def _place(context: AppContext, job_id: str, cache_key: str, span: TextSpan) -> int:
    """Return the number of the segment that a piece is, which is stored if it is new."""
    segments = context.catalog.segments(job_id)
    known = next((each.index for each in segments if each.cache_key == cache_key), None)
    if known is not None:
        return known
    index = segments[-1].index + 1
    cut = SegmentPlan(index, span.start, span.end, forced=False, speech=(), activity=Activity.SPEECH)
    context.catalog.add_segment(job_id, cut, cache_key)
    return index


# The first is short, for somebody waits for it; the others are longer, for a voice does better with those.
_LEAST_OF_FIRST = 8
_LEAST = 100


class Sentences:
    """Takes an answer as it comes, and gives the pieces that can be spoken by then.

    Args:
        most: characters in a piece.
    """

    def __init__(self, most: int) -> None:
        self.text = ""
        self._most = most
        self._start = 0
        self._looked = 0
        self._space = 0
        self._count = 0

    def feed(self, text: str) -> list[TextSpan]:
        """Take what follows; returns the pieces that are whole now."""
        self.text += text
        found = []
        while self._looked < len(self.text):
            piece = self._look(self._looked)
            self._looked += 1
            found += [piece] if piece else []
        return found

    def end(self) -> list[TextSpan]:
        """Return what is left."""
        piece = self._cut(len(self.text))
        return [piece] if piece else []

    def _look(self, place: int) -> TextSpan | None:
        """Look at one sign: whether a piece ends before it."""
        if self.text[place].isspace():
            self._space = place
            if self._is_whole(place):
                return self._cut(place)
        if place - self._start >= self._most:
            return self._cut(self._space if self._space > self._start else place)
        return None

    def _is_whole(self, place: int) -> bool:
        least = _LEAST if self._count else _LEAST_OF_FIRST
        said = self.text[self._start : place]
        return len(said.strip()) >= least and (self.text[place] == "\n" or ends_sentence(said[-8:]))

    def _cut(self, end: int) -> TextSpan | None:
        said = self.text[self._start : end]
        first = self._start + len(said) - len(said.lstrip())
        self._start = end
        if not said.strip():
            return None
        self._count += 1
        return TextSpan(first, first + len(said.strip()))


class GrowingLiveStream(LiveStream):
    """One listener of an answer whose length nobody knows yet.

    Attributes:
        first_at: when the first sound was written, by the monotonic clock; None: not yet.
    """

    def __init__(
        self, context: AppContext, out: int, settings: SpeechSettings, gone: Callable[[], object]
    ) -> None:
        super().__init__(context, out, 0, gone)
        # Two pieces: so each is asked for in the format that can be joined.
        self._script = SpeechScript("", settings, (TextSpan(0, 0), TextSpan(0, 0)))
        self._grown: list[LivePiece] = []
        self._pauses: asyncio.Queue[int | None] = asyncio.Queue()
        self._has_all = False
        self.first_at: float | None = None

    def begin(self) -> None:
        """Begin to listen."""
        self._begin(self._listen_to_all())

    def add(self, pause_ms: int | None) -> LivePiece:
        """Add a piece; returns where its sound is to be put."""
        piece = LivePiece()
        piece.let()
        self._grown.append(piece)
        self._pieces = self._grown
        self._pauses.put_nowait(pause_ms)
        return piece

    def finish(self) -> None:
        """Say that there are no more pieces."""
        self._has_all = True
        self._pauses.put_nowait(None)

    async def _listen_to_all(self) -> None:
        joiner = Joiner()
        form = self._script.settings.format
        with self._encoder(form) as encoder:
            sink = Sink(encoder, self._write, form)
            number = 0
            while True:
                pause = await self._pauses.get()
                if self._has_all and number == len(self._grown):
                    break
                joiner.begin(pause)
                async for samples in self._samples(number, self._script):
                    await run_blocking(sink.take, joiner.feed(samples))
                await run_blocking(sink.take, joiner.end())
                number += 1
            await run_blocking(sink.take, joiner.finish())
            await run_blocking(sink.close)

    def _write(self, data: bytes) -> None:
        super()._write(data)
        if self.first_at is None and data:
            self.first_at = time.monotonic()
