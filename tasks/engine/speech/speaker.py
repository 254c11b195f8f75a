"""What the API asks of a speaker, and what it gets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

SLOWEST, FASTEST = 0.5, 2.0
"""How far a voice's own rate is stretched: beyond it, the engines' durations are no longer what was asked."""


@dataclass(frozen=True, slots=True)
class SynthesisScript:
    """How a text is spoken.

    Attributes:
        args: the program that speaks. It reads the text on standard input (its length in 4 bytes,
            little-endian, and as much UTF-8), and writes 16-bit mono samples into the open descriptor whose
            number is its last argument; the one before is a folder for files of its own.
        text: as it is given to the program.
        rate: of the samples, a second.
        tempo: how many times as fast as they come they are to be heard.
        gain: how many times as loud.
    """

    args: tuple[str, ...]
    text: str
    rate: int
    tempo: float
    gain: float = 1.0


class Synthesizer(Protocol):
    """Speaks by a program."""

    @property
    def voices(self) -> Collection[str]:
        """The names of its voices: OpenAI's first, then its own."""

    def script(self, text: str, voice: str, speed: float) -> SynthesisScript:
        """Say how a text is to be spoken.

        Args:
            text: not empty.
            voice: one of its voices.
            speed: 0.25 to 4; the duration is divided by it.

        Raises:
            Problem: no voice of this name, or the text is in no language that it speaks.
        """


def own_speed(speed: float) -> float:
    """Return the part of a speed that the voice itself takes on; the rest is the tempo."""
    return min(FASTEST, max(SLOWEST, speed))
