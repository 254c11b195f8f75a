"""The voices of the program flite: English, 16 kHz."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stenoflow.tasks.engine.api_errors import invalid
from stenoflow.tasks.engine.synthesis import SynthesisScript, own_speed
from stenoflow.tasks.engine.text_normalization import check_speakable, no_language, plain, speakable

FLITE = "flite"

_PROGRAM = Path(__file__).with_name("voice_program.py")
_DEADLINE_S = 10
# Voices that speak any text at 16 kHz; awb_time knows the time of day only, kal is kal16 at 8 kHz.
_GENERAL = ("slt", "rms", "awb", "kal16")
# Flite's differ by 14 dB; these bring them nearer, with 1 dB left before they would be clipped.
_GAINS = {"slt": 0.8, "rms": 1.5, "kal16": 1.8}


@dataclass(frozen=True, slots=True)
class _Voice:
    """A voice of flite's, as it is or as a larger or smaller person would have it.

    Attributes:
        base: flite's name.
        size: how many times as high it is: its samples are played faster by so much, and spoken slower.
    """

    base: str
    size: float = 1.0


_VOICES = {
    "alloy": _Voice("slt", 0.9),
    "ash": _Voice("rms", 1.12),
    "ballad": _Voice("awb", 0.9),
    "cedar": _Voice("kal16", 0.92),
    "coral": _Voice("slt", 1.06),
    "echo": _Voice("rms"),
    "fable": _Voice("awb"),
    "marin": _Voice("slt", 0.95),
    "nova": _Voice("slt"),
    "onyx": _Voice("rms", 0.88),
    "sage": _Voice("kal16", 1.25),
    "shimmer": _Voice("slt", 1.13),
    "verse": _Voice("awb", 1.12),
}


class FliteSynthesizer:
    """Speaks English.

    Args:
        program: path of flite.
    """

    def __init__(self, program: str) -> None:
        self._program = program

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of its voices."""
        return tuple(self._voices)

    @cached_property
    def _voices(self) -> dict[str, _Voice]:
        has = set(_listed(self._program))
        own = {name: _Voice(name) for name in _GENERAL if name in has}
        return {name: voice for name, voice in _VOICES.items() if voice.base in own} | own

    def script(self, text: str, voice: str, speed: float) -> SynthesisScript:
        """Return how a text is spoken."""
        chosen = self._voices.get(voice)
        if chosen is None:
            raise invalid("voice", f"{FLITE} has no voice {voice}; it has {', '.join(self._voices)}")
        check_speakable(text)
        written = plain(text)
        if 2 * len(speakable(written)) < len(speakable(text)):
            raise no_language(f"{FLITE} speaks English, and most of its letters are of another script")
        wanted = speed / chosen.size
        own = own_speed(wanted)
        args = (sys.executable, "-P", str(_PROGRAM), "flite", self._program, chosen.base, f"{1 / own:.4f}")
        gain = _GAINS.get(chosen.base, 1.0)
        return SynthesisScript(args, written, round(16_000 * chosen.size), wanted / own, gain)


def find_flite() -> str | None:
    """Return the path of the program, if the machine has it."""
    return shutil.which(FLITE)


def _listed(program: str) -> list[str]:
    """Ask flite which voices it was built with."""
    try:
        done = subprocess.run([program, "-lv"], capture_output=True, timeout=_DEADLINE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.decode(errors="replace").partition(":")[2].split()
