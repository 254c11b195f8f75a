"""Settings of speech: what it depends on besides the text (voice, format, speed), and their hashes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from stenoflow.tasks.api.model_table import ModelKind, ModelTable
from stenoflow.tasks.api.speech import SPEECH_FORMATS, SpeechFormat, SpeechRequest
from stenoflow.tasks.api.speech_models import SpeechModel
from stenoflow.tasks.calls.chosen_models import speech_model
from stenoflow.tasks.calls.offers import refresh_offers
from stenoflow.tasks.calls.provider import provider_name
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

SLOWEST, FASTEST = 0.25, 4.0
_DEFAULT_FORMAT: SpeechFormat = "mp3"
_LONGEST_VOICE = 200
# Raised by hand when what a piece's answer holds changes.
_SPOKEN = "spoken/1"


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """Everything that speech depends on, besides the text.

    Attributes:
        provider: whose API; its name, not its address.
        format: of the whole.
        piece_format: what is asked for where the text is spoken in several pieces.
        direct: whether the model gives the whole's format, so that a single piece is passed on as it comes.
        speed: 0.25 to 4; 1 is the voice's own.
        instructions: how to speak.
    """

    provider: str
    model: str
    voice: str
    format: SpeechFormat
    piece_format: SpeechFormat
    direct: bool = True
    speed: float = 1.0
    instructions: str | None = None

    @property
    def settings_hash(self) -> str:
        """Hash of all of it: a job is a text with these."""
        return hash_of([_SPOKEN, self.to_dict()])

    def asked_format(self, pieces: int) -> SpeechFormat:
        """Return what is asked for: the whole's own format where there is but one piece."""
        return self.format if pieces == 1 and self.direct else self.piece_format

    def request(self, text: str, asked: SpeechFormat) -> SpeechRequest:
        """Return the request for a piece."""
        return SpeechRequest(self.model, text, self.voice, asked, self.speed, self.instructions)

    def cache_key(self, text: str, asked: SpeechFormat) -> str:
        """Hash what the answer for a piece depends on, and nothing else."""
        how = [self.provider, self.model, self.voice, asked, self.speed, self.instructions]
        return hash_of([_SPOKEN, text, *how])

    def to_dict(self) -> dict[str, Any]:
        """Return it for storing."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        return cls(**stored)


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """What a command asks of the voice; None: the default."""

    model: str | None = None
    voice: str | None = None
    format: str | None = None
    speed: float | None = None
    instructions: str | None = None


def speech_settings(
    settings: Settings, models: ModelTable[SpeechModel], wanted: VoiceOptions
) -> SpeechSettings:
    """Work out what speech will depend on.

    Raises:
        SettingsError: the model has no such voice or takes no instructions, or a value is out of range.
    """
    if not (wanted.model or settings.speech_model):
        refresh_offers(settings, ModelKind.SPEECH)
    name = speech_model(settings, wanted.model)
    model = models.get(name)
    if model.prc and not settings.allow_prc:
        raise SettingsError(
            f"{name} is run in the People's Republic of China, and the text would go there",
            "allow_prc = true in stenoflow.toml (STENOFLOW_ALLOW_PRC=true) lets it",
        )
    speed = 1.0 if wanted.speed is None else wanted.speed
    if not SLOWEST <= speed <= FASTEST:
        raise SettingsError(f"the speed {speed:g} is out of range", f"{SLOWEST:g} to {FASTEST:g}")
    format_ = _format(wanted.format or _DEFAULT_FORMAT)
    return SpeechSettings(
        provider=provider_name(settings, ModelKind.SPEECH),
        model=name,
        voice=_voice(model, wanted.voice or settings.voice),
        format=format_,
        piece_format=model.piece_format,
        direct=format_ in model.formats,
        speed=round(speed, 3),
        instructions=_instructions(model, wanted.instructions),
    )


def voices_of(settings: Settings, models: ModelTable[SpeechModel], model: str | None) -> tuple[str, ...]:
    """Return the voices of a model, as far as they are known."""
    return models.get(speech_model(settings, model)).voices


def hash_of(parts: list[Any]) -> str:
    """Hash something that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _voice(model: SpeechModel, wanted: str | None) -> str:
    voice = (wanted or model.voice).strip()
    if not voice:
        raise SettingsError(f"{model.name} has no voice of its own", "name one with --voice")
    if len(voice) > _LONGEST_VOICE or not voice.isprintable():
        raise SettingsError(f"{voice[:40]!r} is no name of a voice")
    if model.voices and not model.others and voice not in model.voices:
        raise SettingsError(f"{model.name} has no voice {voice}", f"it has {', '.join(model.voices)}")
    return voice


def _format(wanted: str) -> SpeechFormat:
    found = next((known for known in SPEECH_FORMATS if known == wanted), None)
    if found is None:
        raise SettingsError(f"the format {wanted} is not known", f"known are {', '.join(SPEECH_FORMATS)}")
    return found


def _instructions(model: SpeechModel, wanted: str | None) -> str | None:
    told = (wanted or "").strip() or None
    if told is not None and not model.instructions:
        raise SettingsError(
            f"{model.name} takes no instructions", "stenoflow models --kind speech lists those that do"
        )
    return told
