"""Speakers told by sherpa-onnx, with tiny models that hear loud and soft tones: the whole way, anywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("sherpa_onnx", reason="the extra speakers")
pytest.importorskip("onnx")

from stenoflow.tasks.acoustics import diarizer
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.acoustics.test_sherpa_voices import ANN, BOB, PAUSE, tones
from tests.acoustics.tiny_sherpa import write_models
from tests.flows.conftest import Command, read_artifact
from tests.servers.audio_api import AudioApiServer
from tests.voices import word_a_second


@pytest.fixture(autouse=True)
def _as_urgent_as_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diarizer, "NICENESS", 0)


@pytest.fixture(autouse=True)
def _hears_a_word_a_second(api: AudioApiServer) -> None:
    api.recogniser = word_a_second


def test_a_recording_gets_speakers_by_models_in_the_home(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talk.mp3"
    encode_mp3([tones(ANN, PAUSE, BOB, PAUSE, ANN)], path, ffmpeg=find_ffmpeg())
    models = write_models(tmp_path / "models")
    monkeypatch.setenv("STENOFLOW_DIARIZATION_MODELS", str(models))
    line = stenoflow("transcribe", path, "--speakers", "voices", "--speaker", "B=Bob", "--json").line
    assert line["status"] == "complete", line
    document = json.loads(read_artifact(line, "json"))
    assert document["speakers"] == ["A", "Bob"]
    assert document["speakers_model"].startswith("sherpa-onnx ")
    assert document["speakers_experimental"] is False
    by_second = {int(word["start"]): word["speaker"] for word in document["words"] if "speaker" in word}
    assert (by_second[4], by_second[12], by_second[22]) == ("A", "Bob", "A")

    # With other weights in the home instead, it is another job of the same answers.
    calls = len(api.calls)
    monkeypatch.delenv("STENOFLOW_DIARIZATION_MODELS")
    shutil.copytree(models, home / "models" / "diarization")
    same = stenoflow("resume", line["job"], "--speakers", "voices", "--json").line
    assert (same["job"], same["calls"]) == (line["job"], 0)
    other = write_models(tmp_path / "other")
    weights = other / "sherpa-onnx" / "embedding.onnx"
    weights.write_bytes(weights.read_bytes() + b"\x72\x00")
    monkeypatch.setenv("STENOFLOW_DIARIZATION_MODELS", str(other))
    told = stenoflow("show", line["job"], "--speakers", "voices", "--json").line
    assert (told["status"], told["calls"]) == ("complete", 0)
    assert told["job"] != line["job"]
    assert len(api.calls) == calls
