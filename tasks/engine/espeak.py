"""The voices of espeak-ng, from the package espeakng-loader: a hundred languages, 22.05 kHz.

It is under the GPL: no process of ours loads it. `voice_program` does, in a process of its own.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from stenoflow.tasks.engine.api_errors import invalid
from stenoflow.tasks.engine.synthesis import SynthesisScript, own_speed
from stenoflow.tasks.engine.text_normalization import check_speakable, main_script, no_language

ESPEAK = "espeak-ng"
INSTALL = 'install a voice with: pip install "stenoflow[speech]"'

_PROGRAM = Path(__file__).with_name("voice_program.py")
_RATE = 22_050
_WORDS_A_MINUTE = 175

# OpenAI's voices speak what they are given: here the script decides, and Latin letters are taken for English.
_LANGUAGES = {
    "LATIN": "en-us", "CYRILLIC": "ru", "GREEK": "el", "ARABIC": "ar", "HEBREW": "he", "DEVANAGARI": "hi",
    "HANGUL": "ko", "CJK": "cmn", "THAI": "th", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te",
    "GEORGIAN": "ka", "ARMENIAN": "hy",
}  # fmt: skip
# The clearest to nova and alloy, which are asked for most.
_VARIANTS = {
    "alloy": "f2",
    "ash": "m7",
    "ballad": "Andy",
    "cedar": "m3",
    "coral": "Annie",
    "echo": "m6",
    "fable": "edward",
    "marin": "f3",
    "nova": "f5",
    "onyx": "m8",
    "sage": "Alicia",
    "shimmer": "linda",
    "verse": "adam",
}
_LATIN_OF = {"fable": "en-gb-x-rp"}


class EspeakSynthesizer:
    """Speaks many languages.

    Args:
        package: the folder of espeakng-loader.
    """

    def __init__(self, package: Path) -> None:
        self._library = package / ("libespeak-ng.dylib" if sys.platform == "darwin" else "libespeak-ng.so")
        self._data = package / "espeak-ng-data"

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of its voices: OpenAI's, then its languages, which also go as LANGUAGE+VARIANT."""
        return (*_VARIANTS, *sorted(self._languages))

    def script(self, text: str, voice: str, speed: float) -> SynthesisScript:
        """Return how a text is spoken."""
        check_speakable(text)
        own = own_speed(speed)
        args = (str(self._library), str(self._data), self._own_name(voice, text))
        rate = str(round(_WORDS_A_MINUTE * own))
        return SynthesisScript(
            (sys.executable, "-P", str(_PROGRAM), "espeak", *args, rate), text, _RATE, speed / own
        )

    def _own_name(self, voice: str, text: str) -> str:
        if variant := _VARIANTS.get(voice):
            return f"{self._language_of(voice, text)}+{variant}"
        language, plus, variant = voice.partition("+")
        stem = self._languages.get(language.lower())
        if stem is None or (plus and variant not in self._variants):
            known = f"{', '.join(_VARIANTS)}, and languages such as de or en-gb, also with a variant: de+f2"
            raise invalid("voice", f"{ESPEAK} has no voice {voice}; it has {known}")
        return f"{stem}{plus}{variant}"

    def _language_of(self, voice: str, text: str) -> str:
        script = main_script(text)
        if script not in _LANGUAGES:
            raise no_language(f"{ESPEAK} cannot tell its language; name one as the voice, such as ja")
        return _LATIN_OF.get(voice, "en-us") if script == "LATIN" else _LANGUAGES[script]

    @cached_property
    def _languages(self) -> dict[str, str]:
        """What espeak-ng loads for each language: a file, not always of the language's name."""
        files = sorted(path for path in (self._data / "lang").rglob("*") if path.is_file())
        named = sorted(name for path in files for name in _languages_in(path))
        own = {path.name.lower(): path.name.lower() for path in files}
        return {language: stem for _, language, stem in reversed(named)} | own

    @cached_property
    def _variants(self) -> frozenset[str]:
        return frozenset(path.name for path in (self._data / "voices" / "!v").iterdir())


def find_espeak() -> Path | None:
    """Return the folder of espeakng-loader, if it is installed; loads nothing of it."""
    spec = importlib.util.find_spec("espeakng_loader")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _languages_in(path: Path) -> Iterator[tuple[int, str, str]]:
    """Read a voice's file, such as ``language en-gb 2``: how far down a language is, it, and the file."""
    for line in path.read_text("utf-8", errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["language"] and len(words) > 1:
            rank = int(words[2]) if len(words) > 2 and words[2].isdecimal() else 5
            yield rank, words[1].lower(), path.name.lower()
