"""How exact times are in other languages: ``python -m tests.timing.languages``; languages may be named.

A voice speaks that tells its times. hama (the extra `align`) and Whisper base align the true text, and with
every tenth word wrong or missing; beside that, base hears and times by itself, as the embedded engine does.
``en`` is the real speech of `tests.timing`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import partial
from importlib.util import find_spec
from statistics import median, quantiles
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from stenoflow.tasks.acoustics.aligner import _EARLY_MS
from stenoflow.tasks.acoustics.hama_program import HamaAligner
from stenoflow.tasks.acoustics.whisper_program import WhisperAligner
from stenoflow.tasks.engine.weights import packaged
from stenoflow.tasks.transcript.regions import FRAME_MS
from stenoflow.tasks.transcript.text import spoken_form
from tests.instrument.tones import RATE, Samples
from tests.real_speech import SpokenWord, clip, spoken_words
from tests.timing.__main__ import CLIPS, VARIANTS, Change, Said
from tests.timing.synthetic import TEXTS, speak

Placed = tuple[int, int, float]
Align = Callable[[list[str], Samples, int], list[Placed | None] | None]

_TEXTS = ("aligned", "aligned, every tenth word wrong", "aligned, every tenth word missing")


def main() -> None:
    """Print a table."""
    weights = next(each for each in packaged() if each.name == "base")
    files = {name: b"".join(part.read_bytes() for part in parts) for name, parts in weights.files.items()}
    whisper = WhisperModel("base", device="cpu", compute_type="int8", cpu_threads=1, files=dict(files))
    sys.stdout.write("| language | words | times | median ms | p90 ms | within 100 / 200 ms | CPU s / s |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    for language in sys.argv[1:] or TEXTS:
        said = list(_said(language))
        measures = {
            f"{text} by {by}": partial(_errors, align, VARIANTS[text][0])
            for by, align in _aligners(files, language).items()
            for text in _TEXTS
        }
        measures["base's own"] = partial(_own_errors, whisper, language)
        for label, measure in measures.items():
            _print(language, label, said, measure)


def _said(language: str) -> Iterator[tuple[Said, Samples]]:
    if language == "en":
        for name in CLIPS:
            yield spoken_words(name), clip(f"{name}.wav")
        return
    voice = speak(TEXTS[language], language)
    starts = [ms / 1000 for ms in voice.starts_ms]
    yield [SpokenWord(*each) for each in zip(voice.words, starts, starts, strict=True)], voice.sound


def _aligners(files: dict[str, bytes], language: str) -> dict[str, Align]:
    code = {"cmn": "zh"}.get(language, language)
    early = _EARLY_MS["base"] // FRAME_MS

    def by_hama(words: list[str], sound: Samples, end: int) -> list[Placed | None] | None:
        return HamaAligner(_as_floats(sound)).align(words, 0, end, sure=False)

    def by_whisper(words: list[str], sound: Samples, end: int) -> list[Placed | None] | None:
        return WhisperAligner(dict(files), code, early, _as_floats(sound)).align(words, 0, end)

    aligners: dict[str, Align] = {"base": by_whisper}
    return {"hama": by_hama, **aligners} if find_spec("hama") else aligners


def _as_floats(sound: Samples) -> Any:
    return sound.astype(np.float32) / np.float32(32768)


def _errors(align: Align, change: Change, words: Said, sound: Samples) -> tuple[list[float], int]:
    """Return the errors of the words that were found, in ms, and how many there are."""
    said = change(words)
    placed = align([word.text for word in said], sound, sound.size * 100 // RATE)
    errors = [
        abs(each[0] * FRAME_MS - word.start * 1000)
        for each, word in zip(placed or (), said, strict=placed is not None)
        if each is not None
    ]
    return errors, len(said)


def _own_errors(whisper: Any, language: str, said: Said, sound: Samples) -> tuple[list[float], int]:
    """Return the errors of the words that base heard as they are written, and how many there are."""
    code = {"cmn": "zh"}.get(language, language)
    segments, _ = whisper.transcribe(_as_floats(sound), language=code, beam_size=1, word_timestamps=True)
    heard = [word for segment in segments for word in segment.words]
    keys = [spoken_form(word.text) for word in said]
    matcher = SequenceMatcher(None, keys, [spoken_form(word.word) for word in heard], autojunk=False)
    errors = [
        abs(heard[block.b + at].start - said[block.a + at].start) * 1000
        for block in matcher.get_matching_blocks()
        for at in range(block.size)
    ]
    return errors, len(said)


def _print(
    language: str,
    by: str,
    said: Sequence[tuple[Said, Samples]],
    measure: Callable[[Said, Samples], tuple[list[float], int]],
) -> None:
    began = time.process_time()
    measured = [measure(*one) for one in said]
    rate = (time.process_time() - began) / sum(sound.size / RATE for _, sound in said)
    errors = [error for found, _ in measured for error in found]
    words = f"{len(errors)} of {sum(count for _, count in measured)}"
    figures = "- | - | -"
    if len(errors) > 1:
        within = [sum(error <= ms for error in errors) / len(errors) for ms in (100, 200)]
        p90 = quantiles(errors, n=10)[-1]
        figures = f"{median(errors):.0f} | {p90:.0f} | {within[0]:.0%} / {within[1]:.0%}"
    sys.stdout.write(f"| {language} | {words} | {by} | {figures} | {rate:.2f} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
