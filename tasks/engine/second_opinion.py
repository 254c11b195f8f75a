"""Whisper on this machine transcribes once more what an API did, when nothing else needs the processor."""

from __future__ import annotations

from pathlib import Path

from stenoflow.tasks.engine.engine import load_sound
from stenoflow.tasks.engine.recogniser import Hints
from stenoflow.tasks.engine.weights import find_weights
from stenoflow.tasks.engine.whisper import WhisperRecogniser, WhisperSettings, identity
from stenoflow.tasks.errors import ModelUnavailableError, SettingsError
from stenoflow.tasks.transcript.types import Word


class EmbeddedOpinion:
    """Hears the sound of segments at idle priority; its weights are loaded with the first. Close it.

    Args:
        model: what `find_weights` takes.

    Raises:
        SettingsError: there are no weights; the message says what to do.
    """

    def __init__(self, model: str) -> None:
        settings = WhisperSettings(model, idle=True)
        try:
            weights = find_weights(model)
            self.name = identity(weights, settings)
        except ModelUnavailableError as error:
            raise SettingsError(f"a second opinion needs Whisper: {error.message}", error.hint) from error
        self._recogniser = WhisperRecogniser(weights, settings)

    async def hear(self, sound: Path, language: str | None) -> tuple[Word, ...] | None:
        """Return the words of a segment with their times; None in a language that the weights do not know.

        Raises:
            EngineError, MediaError: it cannot be heard.
        """
        languages = self._recogniser.languages
        if language is None and len(languages) == 1:
            # Nobody knows whether it is the one.
            return None
        if language is not None and language not in languages:
            return None
        recognition = await self._recogniser.recognise(await load_sound(sound), Hints(language))
        return tuple([word async for utterance in recognition.utterances for word in utterance.words])

    def close(self) -> None:
        """End it; what is being heard is given up."""
        self._recogniser.close()
