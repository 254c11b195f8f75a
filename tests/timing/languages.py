"""How exact times are in other languages: ``python -m tests.timing.languages``.

A voice speaks that tells its times. Whisper base aligns the true text and, beside that, hears and times by
itself, as the embedded engine does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from difflib import SequenceMatcher
from statistics import median, quantiles
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from stenoflow.tasks.acoustics.aligner import _EARLY_MS
from stenoflow.tasks.acoustics.whisper_program import WhisperAligner
from stenoflow.tasks.engine.weights import packaged
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.text import spoken_form
from tests.instrument.tones import RATE
from tests.timing.synthetic import Synthetic, speak

TEXTS = {
    "de": """Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und
Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen. Jeder hat das
Recht auf Leben, Freiheit und Sicherheit der Person. Niemand darf in Sklaverei oder
Leibeigenschaft gehalten werden. Jeder hat das Recht auf Bildung. Die Bildung ist
unentgeltlich, zum mindesten der Grundschulunterricht und die grundlegende Bildung.""",
    "es": """Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están
de razón y conciencia, deben comportarse fraternalmente los unos con los otros. Todo
individuo tiene derecho a la vida, a la libertad y a la seguridad de su persona. Nadie
estará sometido a esclavitud ni a servidumbre. Toda persona tiene derecho a la educación. La
educación debe ser gratuita, al menos en lo concerniente a la instrucción elemental.""",
    "fr": """Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de
raison et de conscience et doivent agir les uns envers les autres dans un esprit de
fraternité. Tout individu a droit à la vie, à la liberté et à la sûreté de sa personne. Nul
ne sera tenu en esclavage ni en servitude. Toute personne a droit à l'éducation. L'éducation
doit être gratuite, au moins en ce qui concerne l'enseignement élémentaire.""",
}
"""From the Universal Declaration of Human Rights."""


def main() -> None:
    """Print a table."""
    weights = next(each for each in packaged() if each.name == "base")
    files = {name: b"".join(part.read_bytes() for part in parts) for name, parts in weights.files.items()}
    early = _EARLY_MS["base"] // FRAME_MS
    whisper = WhisperModel("base", device="cpu", compute_type="int8", cpu_threads=1, files=dict(files))
    sys.stdout.write("| language | words | times | median ms | p90 ms | within 100 / 200 ms | CPU s / s |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    for language in sys.argv[1:] or TEXTS:
        said = speak(TEXTS[language], language)
        sound = said.sound.astype(np.float32) / np.float32(32768)
        aligner = WhisperAligner(dict(files), language, early, sound)
        began = time.process_time()
        placed = aligner.align(said.words, 0, said.sound.size * 100 // RATE)
        cpu_s = time.process_time() - began
        errors = [
            abs(each[0] * FRAME_MS - start_ms)
            for each, start_ms in zip(placed or (), said.starts_ms, strict=placed is not None)
            if each is not None
        ]
        _print(language, said, "aligned", errors, cpu_s)
        began = time.process_time()
        own = _own_errors(whisper, said, sound, language)
        _print(language, said, "base's own", own, time.process_time() - began)


def _own_errors(whisper: Any, said: Synthetic, sound: Any, language: str) -> list[float]:
    """Return the errors of the words that base heard as they are written."""
    segments, _ = whisper.transcribe(sound, language=language, beam_size=1, word_timestamps=True)
    heard = [word for segment in segments for word in segment.words]
    keys = [spoken_form(word) for word in said.words]
    matcher = SequenceMatcher(None, keys, [spoken_form(word.word) for word in heard], autojunk=False)
    return [
        abs(heard[block.b + at].start * 1000 - said.starts_ms[block.a + at])
        for block in matcher.get_matching_blocks()
        for at in range(block.size)
    ]


def _print(language: str, said: Synthetic, by: str, errors: Sequence[float], cpu_s: float) -> None:
    figures = "- | - | -"
    if len(errors) > 1:
        within = [sum(error <= ms for error in errors) / len(errors) for ms in (100, 200)]
        p90 = quantiles(errors, n=10)[-1]
        figures = f"{median(errors):.0f} | {p90:.0f} | {within[0]:.0%} / {within[1]:.0%}"
    rate = cpu_s / (said.sound.size / RATE)
    sys.stdout.write(f"| {language} | {len(errors)} of {len(said.words)} | {by} | {figures} | {rate:.2f} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
