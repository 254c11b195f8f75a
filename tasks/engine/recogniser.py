"""What the API asks of a recogniser, and what it gets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.transcript.types import Utterance

Samples = NDArray[np.int16]
"""Sound: 16 kHz mono, 16 bits."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known beforehand of the sound; a recogniser may ignore what it cannot use.

    Attributes:
        language: ISO 639-1 code, or None to detect it.
        prompt: words that go before, or names that will fall.
        temperature: 0 to 1; None leaves it to the recogniser.
    """

    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recogniser hears, as it hears it.

    Attributes:
        language: ISO 639-1 code of what is spoken.
        utterances: in order; times in ms from the first sample. Closing it gives up what is
            still to be heard.
    """

    language: str
    utterances: AsyncGenerator[Utterance, None]


class Recogniser(Protocol):
    """Turns sound into timed words."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes of what it understands."""

    async def recognise(self, samples: Samples, hints: Hints) -> Recognition:
        """Begin to listen.

        Raises:
            EngineError: it cannot; also while iterating over the utterances.
        """

    async def warm_up(self) -> None:
        """Begin to load what the first request would have to wait for."""

    def close(self) -> None:
        """End its processes and free its memory; what is being heard ends in `EngineError`."""
