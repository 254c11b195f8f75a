"""Hold a segment's answer against its sound, and ask again for what has no words.

The segment is asked for as a whole once more, then in a piece round the hole: three calls at most. What stays
without words is missing, or suspect where it is not sure that somebody speaks.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from stenoflow.storage.database.cache_keys import MOST_AGAIN, AlignMode, again_key, review_key
from stenoflow.storage.database.reconnect import run_blocking
from stenoflow.storage.database.states import SegmentState
from stenoflow.storage.database.tables import Segment
from stenoflow.storage.errors import StenoflowError
from stenoflow.tasks.acoustics.aligner import AlignmentWeights, align
from stenoflow.tasks.api.answers import Answer
from stenoflow.tasks.assembly.job_settings import JobSettings
from stenoflow.tasks.assembly.review import (
    NOT_YET,
    REALIGN,
    Review,
    put_together,
    read_answer,
    stored_review,
    timed,
)
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.engine.weights import packaged
from stenoflow.tasks.engine.whisper import is_installed
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.speech_audio import decode_speech
from stenoflow.tasks.transcript.alignment import AlignmentPiece, pieces_of
from stenoflow.tasks.transcript.holes import (
    NEAR_MS,
    Hole,
    Voice,
    are_too_few,
    find_unvoiced,
    find_wordless,
    judge,
    total_ms,
)
from stenoflow.tasks.transcript.languages import language_code
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.text import split_words
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, ms_to_samples
from stenoflow.tasks.transcript.types import Region, Timing, Word
from stenoflow.tasks.transcript.word_timing import AlignedWords, TimedTranscript, shifted

_log = logging.getLogger(__name__)

# So much beside a hole goes along, that words at its edges are whole.
_MARGIN_MS = 1_500

# The ledger writes in threads of asyncio's own pool, and must not wait for those that listen.
_LISTENERS = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2), thread_name_prefix="listener")

P = ParamSpec("P")
T = TypeVar("T")


async def _listen(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what takes the processor long, in as many threads as there are cores to spare."""
    return await asyncio.get_running_loop().run_in_executor(_LISTENERS, lambda: function(*args, **kwargs))


AskAgain = Callable[[Segment, Path], Awaitable[None]]
"""Has a segment, or a piece of one, transcribed again; its cache key says where the answer goes."""


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Reviews the answers of one job's segments.

    Attributes:
        ask: has a segment transcribed again.
    """

    context: AppContext
    settings: JobSettings
    ask: AskAgain

    def begin(self, segment: Segment) -> None:
        """Note that a segment's answer, which is about to come, is to be listened to; blocks."""
        key = review_key(segment.cache_key, self.settings.align)
        self.context.ledger.put_result(key, Review(open=NOT_YET).to_json())

    async def review(self, segment: Segment, sound: Path) -> None:
        """Listen to a segment whose answer is stored, where that was not done yet and its sound is there."""
        stored, found = await run_blocking(self._to_listen_to, segment, sound)
        if found is None:
            return
        listening = _Listening(self.context, self.settings, segment, sound)
        await _listen(listening.add, read_answer(stored, self.settings, listening.whole))
        realigned = await self._realigned(listening, found) if found.open == REALIGN else None
        found = realigned or await self._review(listening)
        key = review_key(segment.cache_key, self.settings.align)
        await run_blocking(self.context.ledger.set_result, key, found.to_json())

    def _to_listen_to(self, segment: Segment, sound: Path) -> tuple[str, Review | None]:
        """Return a segment's answer, and what was found of it; None where no more is to be found; blocks."""
        with self.context.database.reading():
            found = stored_review(self.context, self.settings, segment)
            if found is None or not found.open or not sound.exists():
                return "", None
            return self.context.ledger.answers([segment.cache_key])[segment.cache_key], found

    async def _review(self, listening: _Listening) -> Review:
        found = Review(holes=await _listen(listening.find_holes, Review()))
        if not found.holes:
            return await _listen(listening.finish, found)
        suspects = await run_blocking(self.context.ledger.stored_suspects, listening.segment.cache_key)
        while found.holes and len(found.asked) + len(suspects) < MOST_AGAIN:
            region = listening.next_region(found, whole=not (found.asked or suspects))
            if region is None:
                break
            number = len(found.asked) + 1
            of = listening.segment
            who = {"run": self.context.run_id, "job": of.job_id, "segment": of.index}
            _log.info("segment %d lacks words; asking again", of.index, extra=who)
            try:
                answer = await self._asked_again(listening, number, region)
            except StenoflowError as error:
                # What is there is worth having; the next run tries the rest.
                found = replace(found, open=str(error))
                break
            found = await _listen(listening.with_answer, found, region, answer)
        return await _listen(listening.finish, found)

    async def _realigned(self, listening: _Listening, found: Review) -> Review:
        """Align the answers that are there anew, and ask for nothing."""
        for number, region in enumerate(found.asked, 1):
            key = again_key(listening.segment.cache_key, self.settings.align, number)
            stored = (await run_blocking(self.context.ledger.answers, [key]))[key]
            answer = read_answer(stored, self.settings, region)
            await _listen(listening.add, answer, region)
        holes = await _listen(listening.find_holes, found)
        return await _listen(listening.finish, replace(found, holes=holes, open=None))

    async def _asked_again(self, listening: _Listening, number: int, region: Region) -> Answer:
        key = again_key(listening.segment.cache_key, self.settings.align, number)
        piece = listening.piece(key, region)
        sound = listening.sound
        if region != listening.whole:
            sound = sound.with_name(f"{sound.stem}-{number}.mp3")
            await _listen(listening.write, region, sound)
        try:
            await self.ask(piece, sound)
        finally:
            if sound != listening.sound:
                sound.unlink(missing_ok=True)
        stored = (await run_blocking(self.context.ledger.answers, [key]))[key]
        return read_answer(stored, self.settings, region)


@dataclass(slots=True)
class _Listening:
    """A segment being listened to; its sound is decoded when it is needed first. Times are of that sound."""

    context: AppContext
    settings: JobSettings
    segment: Segment
    sound: Path
    aligned: list[AlignedWords | None] = field(default_factory=list)
    _parts: list[TimedTranscript] = field(default_factory=list)
    _samples: NDArray[np.int16] | None = None
    _heard: list[Voice] = field(default_factory=list)

    @property
    def whole(self) -> Region:
        """All of what was sent."""
        return Region(0, Excerpt(self.segment.spans).duration_ms)

    def add(self, answer: Answer, region: Region | None = None) -> None:
        """Time the words of an answer for a part of the sound, or for all of it."""
        region = region or self.whole
        said = timed(answer, self.segment, region)
        aligned = self._align(said, answer, region)
        self.aligned.append(aligned)
        self._parts.append(said if aligned is None else timed(answer, self.segment, region, aligned))

    def _align(self, said: TimedTranscript, answer: Answer, region: Region) -> AlignedWords | None:
        """Find the words in the sound, where that is asked for or the model times none."""
        is_timed = self.settings.align == AlignMode.AUTO and said.timing is Timing.WORD
        if is_timed or self.settings.align == AlignMode.NEVER or not answer.text.strip():
            return None
        whole = said.timing is Timing.ESTIMATED
        local = shifted(said, -region.start_ms)
        pieces = (
            [AlignmentPiece(tuple(word.text for word in words_of(local)), Region(0, region.duration_ms))]
            if whole
            else pieces_of(local.utterances, region.duration_ms)
        )
        sound = self._decoded()[ms_to_samples(region.start_ms) : ms_to_samples(region.end_ms)]
        language = language_code(answer.language) or self.settings.language
        return align(sound, pieces, language, _weights(language))

    def find_holes(self, found: Review) -> tuple[Hole, ...]:
        """Return where somebody speaks and there is no word."""
        transcript = put_together(self._parts, replace(found, holes=()))
        words = words_of(transcript)
        return tuple(
            hole for wordless in self._wordless(words) for hole in self._judged(wordless, words, transcript)
        )

    def finish(self, found: Review) -> Review:
        """Add what is known by now: when words are said, and where nobody speaks."""
        unvoiced: list[Region] = []
        if self._is_timed:
            words = words_of(put_together(self._parts, found))
            unvoiced = [each for voice in self._heard for each in find_unvoiced(voice, words)]
        return replace(found, aligned=tuple(self.aligned), unvoiced=tuple(unvoiced))

    def next_region(self, found: Review, *, whole: bool) -> Region | None:
        """Return what to ask for again; None where a piece of it would be of no use."""
        if whole:
            return self.whole
        if not self._is_timed:
            return None
        longest = max((hole.region for hole in found.holes), key=lambda region: region.duration_ms)
        start_ms = max(0, longest.start_ms - _MARGIN_MS)
        return Region(start_ms, min(self.whole.end_ms, longest.end_ms + _MARGIN_MS))

    def with_answer(self, found: Review, region: Region, answer: Answer) -> Review:
        """Take of another answer what the holes lack."""
        self.add(answer, region)
        number = len(self._parts) - 1
        found = replace(found, asked=(*found.asked, region))
        whole = replace(found, base=number, fills=())
        # Times from the sound are inexact beside a hole: filling it would lose or double words there.
        if region == self.whole and self._is_aligned(number) and not self.find_holes(whole):
            return replace(whole, holes=())
        if self._is_timed:
            filled = tuple((hole.region, number) for hole in found.holes)
            found = replace(found, fills=(*found.fills, *filled))
        elif len(words_of(self._parts[number])) > len(words_of(self._parts[found.base])):
            found = replace(found, base=number)
        return replace(found, holes=self.find_holes(found))

    def _is_aligned(self, number: int) -> bool:
        return self._parts[number].timing is Timing.ALIGNED

    def piece(self, cache_key: str, region: Region) -> Segment:
        """Return a part of the segment as one that can be asked for; it is not stored."""
        of, spans = self.segment, self.segment.spans
        if region != self.whole:
            spans = Excerpt(spans).part(region)
        return Segment(
            job_id=of.job_id,
            index=of.index,
            start_sample=of.start_sample,
            end_sample=of.end_sample,
            activity=of.activity,
            channel=of.channel,
            forced=of.forced,
            speech=of.speech,
            sent=[list(span) for span in spans],
            gain_db=of.gain_db,
            cache_key=cache_key,
            state=SegmentState.DONE,
        )

    def write(self, region: Region, path: Path) -> None:
        """Encode a part of the sound."""
        part = self._decoded()[ms_to_samples(region.start_ms) : ms_to_samples(region.end_ms)]
        encode_mp3([part], path, ffmpeg=self.context.ffmpeg)

    @property
    def _is_timed(self) -> bool:
        return self._parts[0].timing is not Timing.ESTIMATED

    @property
    def _speech(self) -> list[Region]:
        regions = [Region(start, end) for start, end in self.segment.regions]
        return Excerpt(self.segment.spans).joined(regions, self.segment.start_sample)

    def _wordless(self, words: Sequence[Word]) -> list[Region]:
        speech = self._speech
        if self._is_timed:
            return find_wordless(words, speech, self.whole.duration_ms)
        # Where its words are is only guessed.
        return [self.whole] if are_too_few([word.text for word in words], total_ms(speech)) else []

    def _judged(self, wordless: Region, words: Sequence[Word], transcript: TimedTranscript) -> Sequence[Hole]:
        near = Region(max(0, wordless.start_ms - NEAR_MS), min(self.whole.end_ms, wordless.end_ms + NEAR_MS))
        voice = self._voice(near)
        if self._is_timed:
            return judge(wordless, voice, words)
        said = split_words(" ".join(each.text for each in transcript.utterances))
        return [Hole(self.whole, sure=False)] if are_too_few(said, total_ms(voice.regions)) else []

    def _voice(self, stretch: Region) -> Voice:
        """Listen to a stretch, once: what was filled meanwhile lies in one that was listened to."""
        from stenoflow.tasks.acoustics.voice import find_voice  # noqa: PLC0415 - loads a model

        for known in self._heard:
            if known.stretch.start_ms <= stretch.start_ms and stretch.end_ms <= known.stretch.end_ms:
                return known
        self._heard.append(find_voice(self._decoded(), stretch))
        return self._heard[-1]

    def _decoded(self) -> NDArray[np.int16]:
        if self._samples is None:
            self._samples = decode_speech(
                self.sound.read_bytes(), "mp3", ffmpeg=self.context.ffmpeg, rate=SAMPLE_RATE
            )
        return self._samples


def _weights(language: str | None) -> AlignmentWeights | None:
    """Return the best installed weights of Whisper that know a language."""
    if not is_installed():
        return None
    able = (each for each in packaged() if (language or "en") in each.languages)
    return next((AlignmentWeights(each.name, each.languages, each.files, each.pinned) for each in able), None)


def words_of(transcript: TimedTranscript) -> list[Word]:
    """Return all words, in order."""
    return [word for each in transcript.utterances for word in each.words]
