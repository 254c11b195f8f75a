"""The recogniser of the extra ``stenoflow[whisper]``: faster-whisper, for real meetings."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from stenoflow.tasks.engine.recogniser import Hints, Recognition, Samples, chunks, find_speech
from stenoflow.tasks.errors import EngineError, ModelUnavailableError
from stenoflow.tasks.transcript.languages import NAME_OF
from stenoflow.tasks.transcript.types import Region, Utterance, Word

INSTALL = "install it with: pip install 'stenoflow[whisper]'"


@dataclass(frozen=True, slots=True)
class WhisperSettings:
    """The model of faster-whisper, and where it runs.

    Attributes:
        model: a name ("small"), a model of the Hugging Face hub, or the folder of a converted model.
        device: cpu, cuda or auto.
        compute_type: CTranslate2's, such as int8 or float16; "default" is the model's own.
        local_files_only: never download a model.
    """

    model: str = "base"
    device: str = "auto"
    compute_type: str = "default"
    local_files_only: bool = False


def is_installed() -> bool:
    """Tell whether faster-whisper can be imported; does not import it, which takes a second."""
    return importlib.util.find_spec("faster_whisper") is not None


class WhisperRecogniser:
    """Recognises the languages of Whisper; its model is loaded, or downloaded, with the first sound."""

    languages = frozenset(NAME_OF)

    def __init__(self, settings: WhisperSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._model: Any = None
        self._closed = False

    async def recognise(self, samples: Samples, hints: Hints) -> Recognition:
        """Begin to recognise speech; a language that is not given is detected in the first speech.

        Raises:
            ModelUnavailableError: not installed, or the model cannot be loaded.
        """
        loudness = await asyncio.to_thread(find_speech, samples)
        clips = chunks(loudness.levels, loudness.speech)
        if not clips:
            return Recognition(hints.language or "en", _nothing())
        segments, info = await asyncio.to_thread(self._begin, samples, clips, hints)
        return Recognition(info.language, self._utterances(segments, len(samples) // 16))

    async def warm_up(self) -> None:
        """Load the model, waiting for it."""
        await asyncio.to_thread(self._loaded)

    def close(self) -> None:
        """Free the model; a recognition under way ends after its window of 30 s."""
        self._closed = True
        self._model = None

    def _begin(self, samples: Samples, clips: list[Region], hints: Hints) -> Any:
        sound = samples.astype(np.float32) / 32768
        bounds = [ms / 1000 for clip in clips for ms in (clip.start_ms, clip.end_ms)]
        options: dict[str, Any] = {} if hints.temperature is None else {"temperature": hints.temperature}
        return self._loaded().transcribe(
            sound,
            language=hints.language,
            initial_prompt=hints.prompt,
            # Only regions of speech: Whisper makes up text for silence.
            clip_timestamps=bounds,
            word_timestamps=True,
            vad_filter=False,
            # An error in one window must not be repeated in every later one.
            condition_on_previous_text=False,
            **options,
        )

    async def _utterances(self, segments: Iterator[Any], duration_ms: int) -> AsyncGenerator[Utterance, None]:
        while (segment := await asyncio.to_thread(next, segments, None)) is not None:
            if self._closed:
                raise EngineError("the embedded engine has been closed")
            yield _utterance(segment, duration_ms)

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = load(self._settings)
            return self._model


def load(settings: WhisperSettings) -> Any:
    """Load a faster-whisper model; one that is named and not at hand is downloaded.

    Raises:
        ModelUnavailableError: faster-whisper is not installed, or the model cannot be had or loaded.
    """
    if not is_installed():
        raise ModelUnavailableError("faster-whisper is not installed", INSTALL)
    from faster_whisper import WhisperModel  # noqa: PLC0415 - an optional extra that is slow to import

    try:
        return WhisperModel(
            settings.model,
            device=settings.device,
            compute_type=settings.compute_type,
            local_files_only=settings.local_files_only,
        )
    except Exception as error:  # hub, network, file and CTranslate2 errors share no base
        raise ModelUnavailableError(
            f"faster-whisper cannot load the model {settings.model}: {error}",
            "name a model that it knows (such as small) or the folder of a converted one",
        ) from error


def _utterance(segment: Any, duration_ms: int) -> Utterance:
    words = tuple(_word(word, duration_ms) for word in segment.words or ())
    return Utterance(
        text=segment.text,
        start_ms=_milliseconds(segment.start, duration_ms),
        end_ms=_milliseconds(segment.end, duration_ms),
        words=words,
        avg_logprob=float(segment.avg_logprob),
        compression_ratio=float(segment.compression_ratio),
        no_speech_prob=float(segment.no_speech_prob),
    )


def _word(word: Any, duration_ms: int) -> Word:
    start_ms, end_ms = _milliseconds(word.start, duration_ms), _milliseconds(word.end, duration_ms)
    return Word(word.word.strip(), start_ms, end_ms, float(word.probability))


def _milliseconds(seconds: float, duration_ms: int) -> int:
    """Convert, held inside the sound: Whisper's windows reach beyond its end."""
    return min(duration_ms, max(0, round(seconds * 1000)))


async def _nothing() -> AsyncGenerator[Utterance, None]:
    return
    yield  # makes this a generator
