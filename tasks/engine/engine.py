"""The engine behind the API: which models there are, and what they hear in a file.

Of each kind there is a table of models: those that hear (recognisers), speak (speakers) and answer (chat).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stenoflow.tasks.engine import whisper
from stenoflow.tasks.engine.errors import ModelUnavailableError
from stenoflow.tasks.engine.pocketsphinx import PocketsphinxRecogniser
from stenoflow.tasks.engine.recogniser import Recogniser, Samples
from stenoflow.tasks.engine.speech import espeak, flite
from stenoflow.tasks.engine.speech.espeak import ESPEAK, EspeakSynthesizer
from stenoflow.tasks.engine.speech.flite import FLITE, FliteSynthesizer
from stenoflow.tasks.engine.speech.speaker import Synthesizer
from stenoflow.tasks.engine.whisper import WhisperRecogniser, WhisperSettings
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg

POCKETSPHINX = "pocketsphinx"
FASTER_WHISPER = "faster-whisper"
EXTRACTIVE_SUMMARY = "extractive-summary"
# OpenAI's names that clients have built in: the best that there is here stands in for them. They are not
# listed, and an answer that says who gave it says the truth.
HEARING_NAMES = frozenset({"whisper-1"})
SPEAKING_NAMES = frozenset({"tts-1", "tts-1-hd", "gpt-4o-mini-tts"})
CHAT_NAMES = frozenset({"gpt-4o-mini", "gpt-4o"})
"""The model of the chat: it writes nothing of its own, but picks sentences out of what it is given."""

# 25 MB hold three hours of Opus; a few kB of FLAC can claim days.
_LONGEST_UPLOAD_MS = 4 * 3600 * 1000
_HOW_TO_SPEAK = {FLITE: "install the program flite (Debian: apt-get install flite)", ESPEAK: espeak.INSTALL}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine works.

    Attributes:
        processes: how many decode for pocketsphinx; None: one per core, four at most.
        whisper: the model of faster-whisper.
    """

    processes: int | None = None
    whisper: WhisperSettings = field(default_factory=WhisperSettings)


def default_model() -> str:
    """Name the better of the models that are installed."""
    return FASTER_WHISPER if whisper.is_installed() else POCKETSPHINX


def default_speech_model() -> str:
    """Name the model that speaks: flite where the machine has it, else espeak-ng, installed or not."""
    return FLITE if flite.find_flite() else ESPEAK


class Engine:
    """The models by their names; a recogniser is made when it is first asked for.

    Use it from any event loop, and close it.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[[], Recogniser]],
        speakers: Mapping[str, Synthesizer] | None = None,
    ) -> None:
        self._makers = dict(makers)
        self._recognisers: dict[str, Recogniser] = {}
        self._speakers = dict(speakers or {})

    @property
    def models(self) -> tuple[str, ...]:
        """All that it offers: what hears, the smallest first, what speaks, and what answers."""
        return (*self._makers, *self._speakers, EXTRACTIVE_SUMMARY)

    def check(self, model: str) -> None:
        """Raise `ModelUnavailableError` if there is none of that name."""
        if model not in self.models:
            raise _unknown(model, self.models)

    def recogniser(self, model: str) -> Recogniser:
        """Return the recogniser of a model.

        Raises:
            ModelUnavailableError: there is none of that name.
        """
        if model in HEARING_NAMES and self._makers:
            model = FASTER_WHISPER if FASTER_WHISPER in self._makers else next(iter(self._makers))
        if model not in self._recognisers:
            if model not in self._makers:
                raise _unknown(model, tuple(self._makers))
            self._recognisers[model] = self._makers[model]()
        return self._recognisers[model]

    def speaker(self, model: str) -> Synthesizer:
        """Return the speaker of a model.

        Raises:
            ModelUnavailableError: there is none of that name.
        """
        if model in SPEAKING_NAMES and self._speakers:
            model = next(iter(self._speakers))
        if model in self._speakers:
            return self._speakers[model]
        if not self._speakers:
            raise ModelUnavailableError("This machine has no voice", espeak.INSTALL)
        if model in {FLITE, ESPEAK}:
            raise ModelUnavailableError(f"{model} is not installed", _HOW_TO_SPEAK[model])
        raise _unknown(model, tuple(self._speakers))

    async def warm_up(self, model: str) -> None:
        """Begin to load a model before its first request.

        Raises:
            ModelUnavailableError: there is none of that name, or it cannot be loaded.
        """
        await self.recogniser(model).warm_up()

    def close(self) -> None:
        """End all processes and free the models; what is being heard ends in `EngineError`."""
        for recogniser in self._recognisers.values():
            recogniser.close()


def open_engine(settings: EngineSettings | None = None) -> Engine:
    """Gather the models that this machine has; loads nothing yet."""
    chosen = settings or EngineSettings()
    makers: dict[str, Callable[[], Recogniser]] = {
        POCKETSPHINX: lambda: PocketsphinxRecogniser(chosen.processes)
    }
    if whisper.is_installed():
        makers[FASTER_WHISPER] = lambda: WhisperRecogniser(chosen.whisper)
    return Engine(makers, find_synthesizers())


def find_synthesizers() -> dict[str, Synthesizer]:
    """Gather the speakers that this machine has, the better first; loads nothing yet."""
    speakers: dict[str, Synthesizer] = {}
    if program := flite.find_flite():
        speakers[FLITE] = FliteSynthesizer(program)
    if package := espeak.find_espeak():
        speakers[ESPEAK] = EspeakSynthesizer(package)
    return speakers


async def load_sound(path: Path) -> Samples:
    """Decode an uploaded file.

    Raises:
        RefusedError: it is not audio, or longer than 4 hours.
        MediaError: decoding failed midway.
        SettingsError: there is no fit ffmpeg.
    """
    return await asyncio.to_thread(lambda: decode_all(path, cap_ms=_LONGEST_UPLOAD_MS, ffmpeg=find_ffmpeg()))


def _unknown(model: str, offered: tuple[str, ...]) -> ModelUnavailableError:
    if model == FASTER_WHISPER:
        return ModelUnavailableError("faster-whisper is not installed", whisper.INSTALL)
    return ModelUnavailableError(f"The model '{model}' does not exist", f"offered here: {', '.join(offered)}")
