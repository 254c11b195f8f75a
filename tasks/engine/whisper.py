"""The recogniser for real meetings: faster-whisper, on the processor or the graphics card.

Sound is cut at pauses into clips of 30 s at most, as the library's voice detector finds speech, and each clip
is recognised by itself. So a request takes as much memory as its sound, the clips of several requests take
turns, and a request whose client goes away ends after the clip at hand.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.engine.recogniser import Hints, Recognition, Samples, join_regions
from stenoflow.tasks.engine.weights import AUTO, Weights, how_to_install
from stenoflow.tasks.errors import EngineError, ModelUnavailableError
from stenoflow.tasks.transcript.timecode import ms_to_samples, samples_to_ms
from stenoflow.tasks.transcript.types import Region, Utterance, Word

# Raised by hand when something else than the weights changes what is recognised: clips, options, detector.
_RECIPE = 1
_MOST_WORKERS = 4
# The library cuts longer speech at its quietest; the rest of Whisper's 30 s is for what is put around it.
_LONGEST_S = 29.0
_PAUSE_MS = 300
_PAD_MS = 200


@dataclass(frozen=True, slots=True)
class WhisperSettings:
    """The model of faster-whisper, and where it runs.

    Attributes:
        model: what `stenoflow.tasks.engine.weights.find_weights` takes.
        device: cpu, cuda or auto.
        compute_type: CTranslate2's, such as int8 or float16; auto: the one that fits the device.
        cores: how many threads compute at once; None: one a core.
        idle: they give way to everything else.
    """

    model: str = AUTO
    device: str = AUTO
    compute_type: str = AUTO
    cores: int | None = None
    idle: bool = False


def is_installed() -> bool:
    """Tell whether faster-whisper can be imported; does not import it, which takes a second."""
    return importlib.util.find_spec("faster_whisper") is not None


def identity(weights: Weights, settings: WhisperSettings | None = None) -> str:
    """Name all that the text of a recording depends on: weights, kind of numbers, and the way of decoding.

    Raises:
        ModelUnavailableError: faster-whisper is not installed, or the weights cannot be read.
    """
    _, compute_type = computing(settings or WhisperSettings())
    try:
        return f"{weights.name} sha256:{weights.sha256} {compute_type} {_RECIPE}"
    except OSError as error:
        raise ModelUnavailableError(f"the model {weights.name} cannot be read: {error}") from error


@lru_cache
def computing(settings: WhisperSettings) -> tuple[str, str]:
    """Return the device and the kind of numbers: float16 on a graphics card, int8 on a processor.

    Raises:
        ModelUnavailableError: faster-whisper is not installed.
    """
    ctranslate2 = _import_ctranslate2()
    device = settings.device
    if device == AUTO:
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    compute_type = settings.compute_type
    if compute_type == AUTO:
        able = ctranslate2.get_supported_compute_types(device)
        fitting = ("float16", "int8_float32") if device == "cuda" else ("int8",)
        compute_type = next((each for each in fitting if each in able), "float32")
    return device, compute_type


def _import_ctranslate2() -> Any:
    if not is_installed():
        raise ModelUnavailableError("faster-whisper is not installed", how_to_install())
    # OpenMP reads these when it is loaded. Threads that wait spinning took six times the processor time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    import ctranslate2  # noqa: PLC0415 - loads slowly, and only here

    return ctranslate2


class WhisperRecogniser:
    """Recognises the languages of its weights, which are loaded with the first sound.

    Use it from any event loop. Clips of all requests wait in one queue, one or two of each at a time.
    """

    def __init__(self, weights: Weights, settings: WhisperSettings | None = None) -> None:
        self.weights = weights
        self.languages = weights.languages
        self._settings = settings or WhisperSettings()
        cores = self._settings.cores or _cores()
        self._workers = min(_MOST_WORKERS, cores)
        self._threads = max(1, cores // self._workers)
        self._lock = threading.Lock()
        self._model: Any = None
        self._closed = False
        self._pool = ThreadPoolExecutor(
            self._workers, "stenoflow-whisper", _give_way if self._settings.idle else None
        )

    @property
    def translates(self) -> bool:
        """Whether it translates into English."""
        return self.weights.translates

    async def recognise(self, samples: Samples, hints: Hints) -> Recognition:
        """Begin to recognise speech; a language that is not given is detected in the first clip.

        Raises:
            EngineError: it is closed.
            ModelUnavailableError: not installed, or the model cannot be loaded.
        """
        clips = await self._run(self._clips, samples)
        if not clips:
            return Recognition(hints.language or "en", _nothing())
        first = await self._run(self._hear, samples, clips[0], hints, hints.language)
        return Recognition(first.language, self._utterances(samples, clips, hints, first))

    async def warm_up(self) -> None:
        """Load the model, waiting for it."""
        await self._run(self._loaded)

    def close(self) -> None:
        """Free the model; a recognition under way ends after the clip at hand."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._model = None

    async def _run(self, function: Any, *arguments: Any) -> Any:
        if self._closed:
            raise EngineError("the embedded engine has been closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _utterances(
        self, samples: Samples, clips: list[Region], hints: Hints, first: HeardClip
    ) -> AsyncGenerator[Utterance, None]:
        """Yield what is said, clip by clip; as many as there are workers are on their way."""
        for utterance in first.utterances:
            yield utterance
        waiting = iter(clips[1:])
        coming: deque[asyncio.Future[HeardClip]] = deque()
        try:
            while True:
                while len(coming) < self._workers and (clip := next(waiting, None)) is not None:
                    hearing = self._run(self._hear, samples, clip, hints, first.language)
                    coming.append(asyncio.ensure_future(hearing))
                if not coming:
                    return
                for utterance in (await coming.popleft()).utterances:
                    yield utterance
        finally:
            for each in coming:
                each.cancel()

    def _clips(self, samples: Samples) -> list[Region]:
        return find_clips(samples)

    def _hear(self, samples: Samples, clip: Region, hints: Hints, language: str | None) -> HeardClip:
        """Recognise one clip; blocks."""
        sound = to_float(samples[ms_to_samples(clip.start_ms) : ms_to_samples(clip.end_ms)])
        options: dict[str, Any] = {} if hints.temperature is None else {"temperature": hints.temperature}
        try:
            segments, info = self._loaded().transcribe(
                sound,
                language=language,
                task="translate" if hints.translate else "transcribe",
                initial_prompt=hints.prompt,
                word_timestamps=True,
                # An error in one window must not be repeated in every later one.
                condition_on_previous_text=False,
                **options,
            )
            return HeardClip(info.language, [_utterance(each, clip) for each in segments])
        except RuntimeError as error:
            # CTranslate2 loads CUDA's libraries with the first sound, and its memory may be full.
            device, compute_type = computing(self._settings)
            raise EngineError(
                f"faster-whisper failed, computing {compute_type} on {device}: {error}", _hint(device)
            ) from error

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = load(self.weights, self._settings, self._workers, self._threads)
            return self._model


@dataclass(frozen=True, slots=True)
class HeardClip:
    """What was recognised in a clip."""

    language: str
    utterances: list[Utterance]


def load(weights: Weights, settings: WhisperSettings, workers: int = 1, threads: int = 1) -> Any:
    """Load weights into a faster-whisper model.

    Args:
        weights: which.
        settings: where it runs.
        workers: how many clips it takes at once; they share the weights.
        threads: of each of them.

    Raises:
        ModelUnavailableError: faster-whisper is not installed, or the weights cannot be read or loaded.
    """
    device, compute_type = computing(settings)
    files = weights.read()
    from faster_whisper import WhisperModel  # noqa: PLC0415 - loads slowly, and only here

    try:
        return WhisperModel(
            weights.name,
            device=device,
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
            files=files,
        )
    except Exception as error:  # file and CTranslate2 errors share no base
        raise ModelUnavailableError(
            f"faster-whisper cannot load the model {weights.name} as {compute_type} on {device}: {error}",
            _hint(device),
        ) from error


def _hint(device: str) -> str:
    if device == "cuda":
        return "with CUDA_VISIBLE_DEVICES= (set, and empty) the processor computes"
    return "name a model that it knows (such as small) or the folder of a converted one"


def to_float(samples: Samples) -> NDArray[np.float32]:
    """Return sound as Whisper takes it."""
    return samples.astype(np.float32) / np.float32(32768)


def find_clips(samples: Samples) -> list[Region]:
    """Find speech by the library's voice detector, and gather it into clips of 30 s at most."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415 - loads slowly, and only here

    options = VadOptions(
        max_speech_duration_s=_LONGEST_S, min_silence_duration_ms=_PAUSE_MS, speech_pad_ms=_PAD_MS
    )
    spoken = get_speech_timestamps(to_float(samples), options)
    return join_regions(Region(samples_to_ms(each["start"]), samples_to_ms(each["end"])) for each in spoken)


def _give_way() -> None:
    """Lower this thread's priority, and that of threads that it starts: on Linux each has its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def _cores() -> int:
    """Return on how many cores this process may run."""
    able = getattr(os, "sched_getaffinity", None)
    return len(able(0)) if able is not None else os.cpu_count() or 1


def _utterance(segment: Any, clip: Region) -> Utterance:
    return Utterance(
        text=segment.text,
        start_ms=_milliseconds(segment.start, clip),
        end_ms=_milliseconds(segment.end, clip),
        words=tuple(_words(segment.words or (), clip)),
        avg_logprob=float(segment.avg_logprob),
        compression_ratio=float(segment.compression_ratio),
        no_speech_prob=float(segment.no_speech_prob),
    )


def _words(words: Iterable[Any], clip: Region) -> Iterator[Word]:
    for word in words:
        start_ms, end_ms = _milliseconds(word.start, clip), _milliseconds(word.end, clip)
        yield Word(word.word.strip(), start_ms, end_ms, float(word.probability))


def _milliseconds(seconds: float, clip: Region) -> int:
    """Put a time on the sound's own line, inside its clip: Whisper's windows reach beyond the end."""
    return min(clip.end_ms, max(clip.start_ms, clip.start_ms + round(seconds * 1000)))


async def _nothing() -> AsyncGenerator[Utterance, None]:
    return
    yield  # makes this a generator
