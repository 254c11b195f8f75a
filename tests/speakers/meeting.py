"""Meetings of real utterances by several people, of whom it is known who says what when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.segmenter import Samples
from stenoflow.tasks.transcript.speakers import Turn
from tests.engine.conftest import SPEECH

_RATE = 16_000
_LEVEL_DB = -23.0
# Each reads or speaks alone in their own recordings.
PEOPLE = {
    "linda": ("LJ001-0002.wav", "LJ001-0004.wav", "LJ001-0008.wav", "LJ001-0013.wav", "LJ001-0016.wav"),
    "john": ("jfk.wav",),
    "michael": ("mfa-acoustic_corpus.wav",),
    "jane": ("sense-0870.wav", "sense-0880.wav", "sense-0890.wav"),
    "sam": tuple(f"sb-spk1_snt{number}.wav" for number in range(1, 6)),
    "lee": ("libri-2412-153948-0000.flac",),
}


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance of the truth: its sound begins and ends where that of the recording does."""

    turn: Turn
    text: str
    sound: Samples


@dataclass(frozen=True, slots=True)
class Meeting:
    """What is said, in order, and how long all of it is in samples."""

    said: Sequence[Said]
    samples: int

    @property
    def people(self) -> list[str]:
        """Who speaks, in order of appearance."""
        return list(dict.fromkeys(each.turn.speaker for each in self.said))

    def channels(self, bleed_db: float | None = None) -> Samples:
        """Return the sound with a channel a speaker; the others are heard in it so much softer."""
        alone = np.zeros((self.samples, len(self.people)), np.float64)
        for each in self.said:
            first = each.turn.start_ms * _RATE // 1000
            alone[first : first + each.sound.size, self.people.index(each.turn.speaker)] += each.sound
        if bleed_db is not None:
            heard = np.roll(alone, _RATE // 200, axis=0) * 10 ** (bleed_db / 20)
            alone += heard.sum(axis=1, keepdims=True) - heard
        noise = np.random.default_rng(1).normal(0, 8, alone.shape)
        return np.clip(alone + noise, -32768, 32767).astype(np.int16)

    def mixed(self) -> Samples:
        """Return the sound of a single microphone."""
        mixed: Samples = np.clip(self.channels().astype(np.float64).sum(axis=1), -32768, 32767).astype(
            np.int16
        )
        return mixed

    def rttm(self, jitter_ms: int = 0) -> str:
        """Write the turns as a diariser would that is unsure of where they begin and end."""
        random_ = random.Random(1)
        return "".join(
            f"SPEAKER meeting 1 {max(0, start) / 1000:.3f} {(end - max(0, start)) / 1000:.3f}"
            f" <NA> <NA> {each.turn.speaker} <NA> <NA>\n"
            for each in self.said
            for start in [each.turn.start_ms + random_.randint(-jitter_ms, jitter_ms)]
            for end in [each.turn.end_ms + random_.randint(-jitter_ms, jitter_ms)]
        )


def meeting(people: Sequence[str], pause_ms: int = 400) -> Meeting:
    """Let people take turns until one of them has nothing more to say; below 0, a pause is an overlap."""
    said: list[Said] = []
    at_ms = 500
    for name in _turns(people):
        sound = _levelled(decode_all(SPEECH / name[1], cap_ms=60_000, ffmpeg=find_ffmpeg()))
        end_ms = at_ms + sound.size * 1000 // _RATE
        text = (SPEECH / name[1]).with_suffix(".txt").read_text("utf-8")
        said.append(Said(Turn(at_ms, end_ms, name[0]), text, sound))
        at_ms = end_ms + pause_ms
    return Meeting(said, (at_ms + 2_000) * _RATE // 1000)


def is_there() -> bool:
    """Tell whether the recordings of real speech are on this machine."""
    return Path(SPEECH).exists()


def _turns(people: Sequence[str]) -> list[tuple[str, str]]:
    rounds = zip(*(PEOPLE[person] for person in people), strict=False)
    return [(person, name) for names in rounds for person, name in zip(people, names, strict=True)]


def _levelled(sound: Samples) -> Samples:
    """Bring a recording to the loudness that all share."""
    level = 20 * np.log10(np.sqrt(np.mean(np.square(sound / 32768.0))) + 1e-9)
    loud = sound * 10 ** ((_LEVEL_DB - level) / 20)
    levelled: Samples = np.clip(loud, -32768, 32767).astype(np.int16)
    return levelled
