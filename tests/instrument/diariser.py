"""A model that tells speakers apart: by what they say, since each says numbers of their own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tests.instrument.recogniser import decode, recognise
from tests.instrument.tones import RATE

Fields = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Diariser:
    """Answers as gpt-4o-transcribe-diarize does.

    Within one answer speakers are A, B and so on as they come; those of whom a clip went along are called by
    its name.

    Attributes:
        who: says whose a number is.
        clips_s: how long the clips were that went along, of each call that had any.
    """

    who: Callable[[int], str]
    clips_s: list[list[float]] = field(default_factory=list)

    def __call__(self, sound: bytes, fields: Fields) -> dict[str, Any]:
        heard = recognise(sound)
        known = self._known(fields)
        labels: dict[str, str] = {}
        segments: list[dict[str, Any]] = []
        for person, words in groupby(heard["words"], key=lambda word: self._person(word["word"])):
            said = list(words)
            label = known.get(person) or labels.setdefault(person, chr(ord("A") + len(labels)))
            segments.append(
                {
                    "type": "transcript.text.segment",
                    "id": f"seg_{len(segments):03d}",
                    "start": said[0]["start"],
                    "end": said[-1]["end"],
                    "text": " ".join(word["word"] for word in said),
                    "speaker": label,
                }
            )
        return {key: heard[key] for key in ("task", "duration", "text")} | {"segments": segments}

    def _known(self, fields: Fields) -> Mapping[str, str]:
        names = [value for name, value in fields if name == "known_speaker_names[]"]
        clips = [value for name, value in fields if name == "known_speaker_references[]"]
        if not clips:
            return {}
        sounds = [base64.b64decode(clip.removeprefix("data:audio/mpeg;base64,")) for clip in clips]
        self.clips_s.append([decode(sound).size / RATE for sound in sounds])
        people = [
            {self._person(word["word"]) for word in recognise(sound)["words"]} - {""} for sound in sounds
        ]
        assert all(len(each) == 1 for each in people), f"a clip of nobody, or of several: {people}"
        return {next(iter(each)): name for each, name in zip(people, names, strict=True)}

    def _person(self, word: str) -> str:
        return self.who(int(word)) if word.isdigit() else ""
