"""Times from the sound, for a model that gives none: real speech, whose word times are known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import pytest

from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.tones import RATE
from tests.real_speech import FOLDER, SpokenWord, clip, needs_speech, spoken_words
from tests.servers.audio_api import AudioApiServer, seconds_of

_MODEL = ("--model", "gpt-4o-transcribe", "--json")
_CLIP = "mfa-acoustic_corpus"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp3"
    encode_mp3([clip(f"{_CLIP}.wav")], path, ffmpeg=find_ffmpeg())
    return path


def _document(stenoflow: Command, path: Path, *options: str) -> dict[str, Any]:
    line = stenoflow("transcribe", path, *_MODEL, *options).line
    assert line["status"] == "complete", line
    document: dict[str, Any] = json.loads(read_artifact(line, "json"))
    return document


def _errors_ms(document: dict[str, Any], truth: list[SpokenWord]) -> list[float]:
    words = document["words"]
    assert [_plain(word["word"]) for word in words] == [_plain(word.text) for word in truth]
    return [abs(word["start"] - true.start) * 1000 for word, true in zip(words, truth, strict=True)]


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).lower()


@needs_speech
def test_words_of_a_model_without_times_are_found_in_the_sound(
    stenoflow: Command, api: AudioApiServer, talk: Path
) -> None:
    truth = spoken_words(_CLIP)
    text = " ".join(word.text for word in truth).capitalize() + "."
    api.recogniser = lambda _sound, _fields: {"text": text}
    document = _document(stenoflow, talk)
    assert document["timing"] == "aligned"
    assert document["aligner"].startswith("pocketsphinx ")
    errors = _errors_ms(document, truth)
    assert median(errors) <= 30
    assert quantiles(errors, n=10)[-1] <= 120
    assert sum(error <= 200 for error in errors) >= 0.93 * len(errors)


@needs_speech
def test_they_are_computed_once_and_never_bought_again(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(word.text for word in spoken_words(_CLIP))
    api.recogniser = lambda _sound, _fields: {"text": text}
    first = _document(stenoflow, talk)
    monkeypatch.setattr("stenoflow.tasks.acoustics.aligner._PROGRAM", Path("gone.py"))
    other = talk.with_name("the same.mp3")
    other.write_bytes(talk.read_bytes())
    again = stenoflow("transcribe", other, *_MODEL).line
    assert again["calls"] == 0
    assert json.loads(read_artifact(again, "json"))["words"] == first["words"]


@needs_speech
def test_an_aligner_that_fails_leaves_the_estimate(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenoflow.tasks.acoustics.aligner._PROGRAM", Path("gone.py"))
    api.recogniser = lambda _sound, _fields: {"text": " ".join(w.text for w in spoken_words(_CLIP))}
    document = _document(stenoflow, talk)
    assert document["timing"] == "estimated"
    assert "aligner" not in document


@needs_speech
def test_resume_aligns_anew_what_was_estimated_and_buys_nothing(
    stenoflow: Command, api: AudioApiServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.recogniser = lambda _sound, _fields: {"text": " ".join(w.text for w in spoken_words(_CLIP))}
    with monkeypatch.context() as without:
        without.setattr("stenoflow.tasks.acoustics.aligner._PROGRAM", Path("gone.py"))
        line = stenoflow("transcribe", talk, *_MODEL).line
    again = stenoflow("resume", line["job"], "--realign", "--json").line
    assert (again["status"], again["calls"]) == ("complete", 0)
    assert json.loads(read_artifact(again, "json"))["timing"] == "aligned"


@needs_speech
@pytest.mark.parametrize("options", [("--align", "never"), ("--language", "de")])
def test_what_nobody_can_align_is_estimated(
    stenoflow: Command, api: AudioApiServer, talk: Path, options: tuple[str, ...]
) -> None:
    api.recogniser = lambda _sound, _fields: {"text": " ".join(w.text for w in spoken_words(_CLIP))}
    assert _document(stenoflow, talk, *options)["timing"] == "estimated"


@pytest.mark.usefixtures("api")
def test_tones_are_no_speech_to_align(stenoflow: Command, meeting: Meeting) -> None:
    assert _document(stenoflow, meeting.path)["timing"] == "estimated"


@needs_speech
def test_an_answer_without_times_that_stops_early_is_found_out_by_alignment(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    sound = np.concatenate([clip(f"{_CLIP}.wav"), clip("LJ001-0001.wav"), clip("LJ001-0003.wav")])
    path = tmp_path / "talk.mp3"
    encode_mp3([sound], path, ffmpeg=find_ffmpeg())
    said = " ".join(word.text for word in spoken_words(_CLIP))
    rest = " ".join(
        (FOLDER / f"LJ001-{number}.txt").read_text("utf-8").strip() for number in ("0001", "0003")
    )
    whole = sound.size / RATE
    api.recogniser = lambda sent, _: {"text": said if seconds_of(sent) > whole - 1 else rest}
    line = stenoflow("transcribe", path, *_MODEL, "--segment-seconds", "100").line
    assert (line["status"], line["calls"]) == ("complete", 3)
    assert rest.split()[2:] == read_artifact(line, "txt").split()[-len(rest.split()) + 2 :]
