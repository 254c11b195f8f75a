"""Whisper on this machine transcribes once more what an API did, when nothing else needs the processor."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stenoflow.tasks.acoustics.voice import Samples, find_voice
from stenoflow.tasks.engine.engine import load_sound
from stenoflow.tasks.engine.recogniser import Hints
from stenoflow.tasks.engine.weights import find_weights
from stenoflow.tasks.engine.whisper import WhisperRecogniser, WhisperSettings, identity
from stenoflow.tasks.errors import ModelUnavailableError, SettingsError
from stenoflow.tasks.transcript.holes import NEAR_MS, Hole, find_wordless, judge
from stenoflow.tasks.transcript.second_opinion import Heard
from stenoflow.tasks.transcript.timecode import samples_to_ms
from stenoflow.tasks.transcript.types import Region, Word


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

    async def hear(self, sound: Path, language: str | None) -> Heard | None:
        """Return what is heard in a segment; None in a language that the weights do not know.

        Raises:
            EngineError, MediaError: it cannot be heard.
        """
        languages = self._recogniser.languages
        if language is None and len(languages) == 1:
            # Nobody knows whether it is the one.
            return None
        if language is not None and language not in languages:
            return None
        samples = await load_sound(sound)
        recognition = await self._recogniser.recognise(samples, Hints(language))
        words = tuple([word async for utterance in recognition.utterances for word in utterance.words])
        return Heard(words, await asyncio.to_thread(_passed_over, samples, words))

    def close(self) -> None:
        """End it; what is being heard is given up."""
        self._recogniser.close()


def _passed_over(sound: Samples, words: tuple[Word, ...]) -> tuple[Region, ...]:
    """Return where somebody surely speaks and there are no words."""
    whole = Region(0, samples_to_ms(sound.size))
    holes: list[Hole] = []
    for wordless in find_wordless(words, [whole], whole.end_ms):
        near = Region(max(0, wordless.start_ms - NEAR_MS), min(whole.end_ms, wordless.end_ms + NEAR_MS))
        holes += judge(wordless, find_voice(sound, near), words)
    return tuple(hole.region for hole in holes if hole.sure)
