"""The table of speech models, as data: voices, formats, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from stenoflow.tasks.api.model_table import ModelKind, ModelListing, ModelTable, load_table
from stenoflow.tasks.api.speech import SpeechFormat

# In the order in which they are asked for where pieces are to be joined: without a loss, at what cost.
_TO_BE_JOINED: tuple[SpeechFormat, ...] = ("pcm", "wav", "flac")


@dataclass(frozen=True, slots=True)
class SpeechModel(ModelListing):
    """The abilities of one model; ``models.toml`` says what each field means."""

    voices: tuple[str, ...]
    voice: str
    max_characters: Annotated[int, Field(ge=16)]
    formats: Annotated[tuple[SpeechFormat, ...], Field(min_length=1)]
    others: bool = False
    instructions: bool | Literal["text"] = False
    languages: tuple[str, ...] = ()
    prc: bool = False

    @property
    def piece_format(self) -> SpeechFormat:
        """The format to ask for where pieces are to be joined."""
        return next((known for known in _TO_BE_JOINED if known in self.formats), self.formats[0])


def load_speech_models(
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> ModelTable[SpeechModel]:
    """Read the models that speak; see `load_table`."""
    return load_table(ModelKind.SPEECH, SpeechModel, overrides)
