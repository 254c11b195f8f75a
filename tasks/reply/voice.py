"""Speaking an answer: sentence by sentence as it comes, or as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from storage.database.catalog import CutSegment
from storage.database.states import Activity
from storage.database.tables import Job
from storage.errors import StenoflowError
from tasks.audio_api.errors import CallError
from tasks.reply.sentences import Sentences
from tasks.reply.stream import GrowingStream
from tasks.settling import settle
from tasks.speaking.script import Script
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.speaker import Speaker, Task, stored_audio
from tasks.speaking.speaking import store_whole
from tasks.speaking.splitting import Span, pause_ms
from tasks.speaking.stored import StoredAudio
from tasks.speaking.text import clean, is_speakable
from tasks.workshop import Workshop

_NAME = "reply"


class AnswerBrokenError(CallError):
    """The answer broke off after its beginning was spoken, which cannot be taken back."""

    kind = "stream-broken"
    charged = "possible"
    scope = "segment"


@dataclass(slots=True)
class Voice:
    """Speaks the answer of one reply; belongs to an event loop.

    Attributes:
        job: the reply, which this run has claimed and whose first segment is the question.
        stream: who listens; None: nobody, and then nothing is spoken before the answer is whole.
    """

    speaker: Speaker
    job: Job
    settings: SpeechSettings
    stream: GrowingStream | None = None
    _sentences: Sentences | None = None
    _spans: list[Span] = field(default_factory=list)
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
        script = Script(text, self.settings, tuple(self._spans))
        return await settle(store_whole, self.speaker.workshop, self.job.id, script, pieces, _NAME)

    async def settled(self) -> None:
        """Wait for the end of all calls under way: they are paid for."""
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def _new(self) -> Sentences:
        return Sentences(self.speaker.workshop.speech_models.get(self.settings.model).max_characters)

    def _speak(self, sentences: Sentences, spans: list[Span]) -> None:
        for span in spans:
            text = clean(sentences.text[span.start : span.end])
            if not is_speakable(text):
                continue
            pause = pause_ms(sentences.text, self._spans[-1], span) if self._spans else None
            live = None if self.stream is None else self.stream.add(pause)
            self._spans.append(span)
            asked = self.settings.piece_format
            self._at_work.append(
                asyncio.create_task(
                    self._speak_one(Task(self.job.id, 0, text, self.settings, asked, live), span)
                )
            )

    async def _speak_one(self, task: Task, span: Span) -> StoredAudio:
        async with self._turn:
            index = await settle(_place, self.speaker.workshop, task, span)
        placed = Task(task.job_id, index, task.text, task.settings, task.asked, task.live)
        return await self.speaker.speak(placed)

    async def _all(self) -> list[StoredAudio]:
        outcomes = await asyncio.gather(*self._at_work, return_exceptions=True)
        errors = [each for each in outcomes if isinstance(each, BaseException)]
        for error in [*(each for each in errors if not isinstance(each, StenoflowError)), *errors]:
            raise error
        return [each for each in outcomes if isinstance(each, StoredAudio)]


def spoken_before(workshop: Workshop, job: Job, text: str, settings: SpeechSettings) -> StoredAudio | None:
    """Put the sound of an answer together from stored pieces; None where some are gone. Calls nobody."""
    sentences = Sentences(workshop.speech_models.get(settings.model).max_characters)
    spans = [*sentences.feed(text), *sentences.end()]
    said = [(span, clean(text[span.start : span.end])) for span in spans]
    told = [(span, piece) for span, piece in said if is_speakable(piece)]
    found = [stored_audio(workshop, settings.work_key(piece, settings.piece_format)) for _, piece in told]
    pieces = [each for each in found if each is not None]
    if not pieces or len(pieces) < len(found):
        return None
    script = Script(text, settings, tuple(span for span, _ in told))
    return store_whole(workshop, job.id, script, pieces, _NAME)


def _place(workshop: Workshop, task: Task, span: Span) -> int:
    """Return the number of the segment that a piece is, which is stored if it is new."""
    segments = workshop.catalog.segments(task.job_id)
    known = next((each.index for each in segments if each.work_key == task.work_key), None)
    if known is not None:
        return known
    index = segments[-1].index + 1
    cut = CutSegment(index, span.start, span.end, forced=False, speech=(), activity=Activity.SPEAKING)
    workshop.catalog.add_segment(task.job_id, cut, task.work_key)
    return index
