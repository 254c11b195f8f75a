"""The recogniser that needs nothing but its wheel: pocketsphinx, English.

About 20-30 % word error rate on read speech, 60-80 % on real conversation.
"""

from __future__ import annotations

import asyncio
import math
import os
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from statistics import fmean

from stenoflow.tasks.engine.decoder_pool import DecoderPool, SpokenWord
from stenoflow.tasks.engine.recogniser import Hints, Recognition, Samples, chunks, find_speech
from stenoflow.tasks.errors import EngineError
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.timecode import ms_to_samples
from stenoflow.tasks.transcript.types import Region, Utterance, Word

_MOST_PROCESSES = 4
_PAUSE_MS = 350
_SMALLEST_PROBABILITY = 1e-10


def process_count() -> int:
    """Return how many decoder processes fit this machine."""
    return max(1, min(_MOST_PROCESSES, os.cpu_count() or 1))


class PocketsphinxRecogniser:
    """Recognises English in decoder processes, which start with the first sound or by `warm_up`."""

    languages = frozenset({"en"})
    translates = False

    def __init__(self, processes: int | None = None) -> None:
        self.pool = DecoderPool(processes or process_count())

    async def recognise(self, samples: Samples, hints: Hints) -> Recognition:
        """Begin to recognise speech; of the hints only the language matters, and it must be English."""
        if hints.language not in {None, "en"}:
            raise EngineError(f"pocketsphinx recognises English only, not {hints.language}")
        return Recognition("en", self._utterances(samples))

    async def warm_up(self) -> None:
        """Start the processes, without waiting for them."""
        self.pool.start()

    def close(self) -> None:
        """End the processes at once."""
        self.pool.close()

    async def _utterances(self, samples: Samples) -> AsyncGenerator[Utterance, None]:
        loudness = await asyncio.to_thread(find_speech, samples)
        pieces = chunks(loudness.levels, loudness.speech)
        futures = [self.pool.submit(_cut(samples, piece)) for piece in pieces]
        try:
            for piece, future in zip(pieces, futures, strict=True):
                spoken = await asyncio.wrap_future(future)
                for utterance in group(_spoken_in(loudness.speech, timed_words(spoken, piece))):
                    yield utterance
        finally:
            _cancel(futures)


def timed_words(spoken: Iterable[SpokenWord], piece: Region) -> Iterator[Word]:
    """Put the words of a chunk on the timeline of the whole sound."""
    for word in spoken:
        start_ms = piece.start_ms + word.start_frame * FRAME_MS
        end_ms = min(piece.end_ms, piece.start_ms + (word.end_frame + 1) * FRAME_MS)
        yield Word(word.text, start_ms, end_ms, round(word.probability, 4))


def group(words: Iterable[Word]) -> Iterator[Utterance]:
    """Group words into utterances, which end where the speaker pauses."""
    run: list[Word] = []
    for word in words:
        if run and word.start_ms - run[-1].end_ms >= _PAUSE_MS:
            yield _utterance(run)
            run = []
        run.append(word)
    if run:
        yield _utterance(run)


def _utterance(words: Sequence[Word]) -> Utterance:
    text = " ".join(word.text for word in words)
    written = text.encode()
    return Utterance(
        # Whisper's utterances begin with their space, so that joined they give the text.
        text=f" {text}",
        start_ms=words[0].start_ms,
        end_ms=words[-1].end_ms,
        words=tuple(words),
        avg_logprob=fmean(math.log(max(_SMALLEST_PROBABILITY, word.confidence or 0)) for word in words),
        compression_ratio=len(written) / len(zlib.compress(written)),
        no_speech_prob=0.0,  # what the voice detector finds silent is not decoded
    )


def _spoken_in(speech: Sequence[Region], words: Iterable[Word]) -> Iterator[Word]:
    """Drop words that lie wholly in the silence between regions: the decoder made them up."""
    for word in words:
        if any(word.start_ms < region.end_ms and word.end_ms > region.start_ms for region in speech):
            yield word


def _cut(samples: Samples, piece: Region) -> bytes:
    return samples[ms_to_samples(piece.start_ms) : ms_to_samples(piece.end_ms)].tobytes()


def _cancel(futures: Iterable[Future[list[SpokenWord]]]) -> None:
    for future in futures:
        future.cancel()
