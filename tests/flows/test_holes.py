"""Answers with holes: asked for again, filled, and what stays without words is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.beds import Bed, bed_sound
from tests.instrument.recogniser import recognise
from tests.instrument.tones import RATE, Samples
from tests.real_speech import needs_speech, read_speech
from tests.servers.audio_api import AudioApiServer, Fields, seconds_of

_WHOLE = ("--segment-seconds", "300", "--json")


def _without(heard: dict[str, Any], start: float, end: float) -> dict[str, Any]:
    words = [word for word in heard["words"] if not start <= word["start"] < end]
    text = " ".join(word["word"] for word in words)
    return {**heard, "text": text, "words": words, "segments": []}


class Deaf:
    """Hears tones, but nothing in the middle third of its first so many sounds."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, sound: bytes, _fields: Fields) -> dict[str, Any]:
        heard, length = recognise(sound), seconds_of(sound)
        self.times -= 1
        return _without(heard, length / 3, 2 * length / 3) if self.times >= 0 else heard


@pytest.mark.program
def test_what_is_missed_once_is_asked_for_again_and_no_word_is_lost(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = Deaf(1)
    printed = stenoflow("transcribe", meeting.path, *_WHOLE)
    assert (printed.exit_code, printed.line["status"], printed.line["calls"]) == (0, "complete", 2)
    words = json.loads(read_artifact(printed.line, "json"))["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]
    assert stenoflow("transcribe", meeting.path, *_WHOLE).line["calls"] == 0


@pytest.mark.program
def test_what_is_missed_twice_is_asked_for_in_a_piece(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = Deaf(2)
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"]) == ("complete", 3)
    words = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]
    whole, again, piece = (call.seconds for call in api.calls)
    assert whole == again
    assert piece < whole / 2


@pytest.mark.program
def test_what_is_never_heard_is_named_everywhere(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = lambda sound, _: _without(recognise(sound), 20 if seconds_of(sound) < 200 else 80, 160)
    printed = stenoflow("transcribe", meeting.path, *_WHOLE)
    line = printed.line
    assert (printed.exit_code, line["status"], line["calls"]) == (3, "partial", 3)
    ((start, end),) = line["suspect"]
    assert 80 < start < 105
    assert end == pytest.approx(160, abs=2)
    assert line["error"]["kind"] == "wordless"
    document = json.loads(read_artifact(line, "json"))
    assert {"start": start, "end": end, "kind": "suspect"} in document["coverage"]
    for name in ("txt", "srt", "vtt", "html"):
        assert "[suspect 00:01:" in read_artifact(line, name)
    assert stenoflow("resume", line["job"], "--json").line["calls"] == 0


@pytest.mark.program
def test_a_hole_that_could_not_be_asked_for_again_is_tried_by_resume(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = Deaf(1)
    api.script(["ok", "400"])
    line = stenoflow("transcribe", meeting.path, *_WHOLE).line
    assert (line["status"], line["calls"]) == ("partial", 2)
    line = stenoflow("resume", line["job"], "--json").line
    assert (line["status"], line["calls"]) == ("complete", 1)
    words = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in words] == [word.text for word in meeting.words]


def _spoken_evenly(deaf: tuple[float, float]) -> Any:
    """Answer with a word every 0.4 s, but none in a stretch."""

    def hear(sound: bytes, _fields: Fields) -> dict[str, Any]:
        length = seconds_of(sound)
        starts = [at for at in np.arange(0.1, length - 0.4, 0.4) if not deaf[0] <= at < deaf[1]]
        words = [{"word": f"w{n}", "start": at, "end": at + 0.35} for n, at in enumerate(starts)]
        text = " ".join(str(word["word"]) for word in words)
        return {"language": "english", "duration": length, "text": text, "words": words}

    return hear


def _written(folder: Path, sound: Samples) -> Path:
    path = folder / "reading.mp3"
    encode_mp3([sound], path, ffmpeg=find_ffmpeg())
    return path


@needs_speech
def test_speech_that_no_word_stands_for_is_missing(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    api.recogniser = _spoken_evenly((10, 40))
    printed = stenoflow("transcribe", _written(tmp_path, read_speech()), *_WHOLE)
    line = printed.line
    assert (printed.exit_code, line["status"], line["calls"]) == (3, "partial", 3)
    assert "suspect" not in line
    assert all(10 <= start < end <= 41 for start, end in line["missing"])
    assert "[missing 00:00:" in read_artifact(line, "srt")


@needs_speech
@pytest.mark.parametrize("bed", [Bed.MUSIC, Bed.NOISE])
def test_music_and_noise_between_speech_are_not_missing(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, bed: Bed
) -> None:
    speech = read_speech()[: 30 * RATE]
    api.recogniser = _spoken_evenly((30, 50))
    sound = np.concatenate([speech, 4 * bed_sound(bed, 0, 20 * RATE), speech])
    line = stenoflow("transcribe", _written(tmp_path, sound), *_WHOLE).line
    assert (line["status"], line["calls"], line["missing"]) == ("complete", 1, [])


@needs_speech
@pytest.mark.slow
@pytest.mark.parametrize("bed", [Bed.MUSIC, Bed.NOISE])
@pytest.mark.parametrize(
    "said", ["Thank you for watching!", "谢谢观看", "ご視聴ありがとう", "ขอบคุณครับ", "شكرا للمشاهدة"]
)
def test_words_in_music_and_noise_are_suspect(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, bed: Bed, said: str
) -> None:
    def hear(sound: bytes, fields: Fields) -> dict[str, Any]:
        heard: dict[str, Any] = _spoken_evenly((30, 50))(sound, fields)
        invented = [
            {"word": each, "start": 38 + at / 2, "end": 38.4 + at / 2} for at, each in enumerate(said.split())
        ]
        words = sorted([*heard["words"], *invented], key=lambda word: float(word["start"]))
        return {**heard, "words": words, "text": " ".join(word["word"] for word in words)}

    speech = read_speech()[: 30 * RATE]
    api.recogniser = hear
    sound = np.concatenate([speech, 4 * bed_sound(bed, 0, 20 * RATE), speech])
    line = stenoflow("transcribe", _written(tmp_path, sound), *_WHOLE).line
    assert (line["status"], line["calls"], line["missing"]) == ("complete", 1, [])
    document = json.loads(read_artifact(line, "json"))
    doubted = [each for each in document["segments"] if "silence" in each.get("suspect", ())]
    assert [each["text"].strip() for each in doubted] == [said]
