"""A text with its pieces and the settings of its voice. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tasks.audio_api.speech import SpeechFormat
from tasks.speaking.settings import SpeechSettings
from tasks.speaking.splitting import Span, pause_ms, split_text


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be spoken.

    Attributes:
        text: cleaned.
        spans: its pieces, in order.
    """

    text: str
    settings: SpeechSettings
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, text: str, settings: SpeechSettings, limit: int) -> Script:
        """Cut a text into pieces of ``limit`` characters at most."""
        return cls(text, settings, tuple(split_text(text, limit)))

    @property
    def asked(self) -> SpeechFormat:
        """The format that each piece is asked for in."""
        return self.settings.asked_format(len(self.spans))

    @property
    def pieces(self) -> tuple[str, ...]:
        """What each piece says."""
        return tuple(self.text[span.start : span.end] for span in self.spans)

    @property
    def work_keys(self) -> tuple[str, ...]:
        """Under which the answer for each piece is stored."""
        return tuple(self.settings.work_key(piece, self.asked) for piece in self.pieces)

    @property
    def pauses(self) -> tuple[int | None, ...]:
        """The pause before each piece in ms; None before the first."""
        return None, *(
            round(pause_ms(self.text, before, after) / self.settings.speed)
            for before, after in pairwise(self.spans)
        )
