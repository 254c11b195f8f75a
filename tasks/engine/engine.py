"""The engine behind the API: its models by name, which recognise speech, synthesize it, and chat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

from stenoflow.tasks.api.providers import POCKETSPHINX
from stenoflow.tasks.engine import espeak, flite, weights, whisper
from stenoflow.tasks.engine.espeak import ESPEAK, EspeakSynthesizer
from stenoflow.tasks.engine.flite import FLITE, FliteSynthesizer
from stenoflow.tasks.engine.pocketsphinx import PocketsphinxRecogniser
from stenoflow.tasks.engine.recogniser import Recogniser, Samples
from stenoflow.tasks.engine.synthesis import Synthesizer
from stenoflow.tasks.engine.whisper import WhisperRecogniser, WhisperSettings
from stenoflow.tasks.errors import ModelUnavailableError
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg

FASTER_WHISPER = "faster-whisper"
EXTRACTIVE_SUMMARY = "extractive-summary"
# OpenAI's names that clients have built in: the best model here stands in for them. They are not listed, and
# a reply that names its model names the one that made it.
TRANSCRIPTION_NAMES = frozenset({"whisper-1"})
SPEECH_NAMES = frozenset({"tts-1", "tts-1-hd", "gpt-4o-mini-tts"})
CHAT_NAMES = frozenset({"gpt-6-luna", "gpt-4o-mini", "gpt-4o"})

# 25 MB hold three hours of Opus; a few kB of FLAC can claim days.
_LONGEST_UPLOAD_MS = 4 * 3600 * 1000
_HOW_TO_SPEAK = {FLITE: "install the program flite (Debian: apt-get install flite)", ESPEAK: espeak.INSTALL}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The settings of the engine.

    Attributes:
        processes: how many decoders pocketsphinx has; None: one per core, four at most.
        whisper: the model of faster-whisper.
    """

    processes: int | None = None
    whisper: WhisperSettings = field(default_factory=WhisperSettings)


def default_speech_model() -> str:
    """Return the model that speaks: flite where the machine has it, else espeak-ng, installed or not."""
    return FLITE if flite.find_flite() else ESPEAK


class Engine:
    """The models by their names; a recogniser is made when it is first asked for.

    Use it from any event loop, and close it.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[[], Recogniser]],
        synthesizers: Mapping[str, Synthesizer] | None = None,
    ) -> None:
        self._makers = dict(makers)
        self._recognisers: dict[str, Recogniser] = {}
        self._making = Lock()
        self._synthesizers = dict(synthesizers or {})

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models: recognisers, the smallest first, synthesizers, and the chat."""
        return (*self._makers, *self._synthesizers, EXTRACTIVE_SUMMARY)

    def check(self, model: str) -> None:
        """Raise `ModelUnavailableError` if there is none of that name."""
        if model not in self.models:
            raise _unknown(model, self.models)

    def recogniser(self, model: str) -> Recogniser:
        """Return the recogniser of a model.

        Raises:
            ModelUnavailableError: there is none of that name.
        """
        if model in TRANSCRIPTION_NAMES and FASTER_WHISPER not in self._makers:
            raise ModelUnavailableError(
                f"Nothing here stands in for '{model}': this machine has no weights of Whisper",
                f"{weights.how_to_install()}; or ask for one of {', '.join(self._makers)}",
            )
        if model in TRANSCRIPTION_NAMES:
            model = FASTER_WHISPER
        with self._making:
            return self._recogniser(model)

    def _recogniser(self, model: str) -> Recogniser:
        if model in self._recognisers:
            return self._recognisers[model]
        if model in self._makers:
            made = self._makers[model]()
            # The one that the settings name may be one of the others: it is loaded once.
            name = made.weights.model if isinstance(made, WhisperRecogniser) else model
            self._recognisers[model] = self._recognisers.setdefault(name, made)
            return self._recognisers[model]
        if model.startswith(weights.PREFIX) and FASTER_WHISPER in self._makers:
            named = self._recogniser(FASTER_WHISPER)
            if isinstance(named, WhisperRecogniser) and named.weights.model == model:
                return named
        raise _unknown(model, tuple(self._makers))

    def synthesizer(self, model: str) -> Synthesizer:
        """Return the synthesizer of a model.

        Raises:
            ModelUnavailableError: there is none of that name.
        """
        if model in SPEECH_NAMES and self._synthesizers:
            model = next(iter(self._synthesizers))
        if model in self._synthesizers:
            return self._synthesizers[model]
        if not self._synthesizers:
            raise ModelUnavailableError("This machine has no voice", espeak.INSTALL)
        if model in {FLITE, ESPEAK}:
            raise ModelUnavailableError(f"{model} is not installed", _HOW_TO_SPEAK[model])
        raise _unknown(model, tuple(self._synthesizers))

    def chat_model(self, model: str) -> str:
        """Return the name of the model that answers a request to chat.

        Raises:
            ModelUnavailableError: there is none of that name.
        """
        if model not in {EXTRACTIVE_SUMMARY, *CHAT_NAMES}:
            raise _unknown(model, (EXTRACTIVE_SUMMARY,))
        return EXTRACTIVE_SUMMARY

    async def warm_up(self, model: str) -> None:
        """Begin to load a model before its first request.

        Raises:
            ModelUnavailableError: there is none of that name, or it cannot be loaded.
        """
        await self.recogniser(model).warm_up()

    def close(self) -> None:
        """End all processes and free the models; a recognition under way ends in `EngineError`."""
        for recogniser in self._recognisers.values():
            recogniser.close()


def open_engine(settings: EngineSettings | None = None) -> Engine:
    """Open an engine with the models that this machine has; loads nothing yet."""
    chosen = settings or EngineSettings()
    makers: dict[str, Callable[[], Recogniser]] = {
        POCKETSPHINX: lambda: PocketsphinxRecogniser(chosen.processes)
    }
    if whisper.is_installed():
        installed = weights.packaged()
        if installed or chosen.whisper.model != weights.AUTO:
            named = chosen.whisper.model
            makers[FASTER_WHISPER] = lambda: WhisperRecogniser(weights.find_weights(named), chosen.whisper)
        makers |= {each.model: partial(WhisperRecogniser, each, chosen.whisper) for each in installed}
    return Engine(makers, find_synthesizers())


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """The recogniser that a request gets.

    Attributes:
        name: its own, not one that stands for it.
        identity: what its text depends on beside the sound, where its name does not say so.
        languages: ISO 639-1 codes of those that it recognises.
        translates: whether it translates into English.
    """

    name: str
    identity: str | None
    languages: frozenset[str]
    translates: bool


def choose_model(wanted: str | None, settings: WhisperSettings) -> ChosenModel:
    """Return the recogniser that is meant by a name; without one the best, and pocketsphinx as a last resort.

    Raises:
        ModelUnavailableError: it is named, and cannot be had; the message says what to do.
    """
    if (
        wanted is None
        and settings.model == weights.AUTO
        and not (whisper.is_installed() and weights.packaged())
    ):
        wanted = POCKETSPHINX
    if wanted == POCKETSPHINX:
        return ChosenModel(POCKETSPHINX, None, PocketsphinxRecogniser.languages, translates=False)
    named = None if wanted in {None, FASTER_WHISPER, *TRANSCRIPTION_NAMES} else wanted
    found = (
        None if named is None else next((each for each in weights.packaged() if each.model == named), None)
    )
    if found is None:
        found = weights.find_weights(settings.model)
        if named not in {None, found.model}:
            raise _unknown(str(named), (POCKETSPHINX, FASTER_WHISPER, *weights.installed_names()))
    return ChosenModel(found.model, whisper.identity(found, settings), found.languages, found.translates)


def able_models(language: str | None) -> tuple[str, ...]:
    """Return what recognises a language (None: translates): what is installed, and how to install others."""

    def able(languages: Collection[str]) -> bool:
        return len(languages) > 1 if language is None else language in languages

    there = [each.model for each in weights.packaged() if able(each.languages)]
    if able(PocketsphinxRecogniser.languages):
        there.append(POCKETSPHINX)
    missing = {each.name for each in weights.PACKAGES} - {each.name for each in weights.packaged()}
    others = [
        f"{weights.PREFIX}{each.name} ({each.install})"
        for each in weights.PACKAGES
        if each.name in missing and able(each.languages)
    ]
    return (*there, *others)


def find_synthesizers() -> dict[str, Synthesizer]:
    """Return the synthesizers that this machine has, the better first; loads nothing yet."""
    synthesizers: dict[str, Synthesizer] = {}
    if program := flite.find_flite():
        synthesizers[FLITE] = FliteSynthesizer(program)
    if package := espeak.find_espeak():
        synthesizers[ESPEAK] = EspeakSynthesizer(package)
    return synthesizers


async def load_sound(path: Path) -> Samples:
    """Decode an uploaded file.

    Raises:
        RefusedError: it is not audio, or longer than 4 hours.
        MediaError: decoding failed midway.
        SettingsError: there is no fit ffmpeg.
    """
    return await asyncio.to_thread(lambda: decode_all(path, cap_ms=_LONGEST_UPLOAD_MS, ffmpeg=find_ffmpeg()))


def _unknown(model: str, offered: tuple[str, ...]) -> ModelUnavailableError:
    if model == FASTER_WHISPER and POCKETSPHINX in offered:
        missing = "its weights are" if whisper.is_installed() else "it is"
        return ModelUnavailableError(
            f"The model '{model}' cannot be used: {missing} not installed", weights.how_to_install()
        )
    return ModelUnavailableError(f"The model '{model}' does not exist", f"offered here: {', '.join(offered)}")
