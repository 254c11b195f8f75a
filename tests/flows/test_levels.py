"""Recordings that are too loud or too soft, through the command line."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.media.levels import frame_levels
from tests.flows.conftest import Command, read_artifact
from tests.instrument.recogniser import recognise
from tests.instrument.recording import Bed, script, sound
from tests.servers.audio_api import AudioApiServer

_SECONDS = 20


def _written(path: Path, gain_db: float) -> Path:
    samples: NDArray[np.int16] = np.concatenate(list(sound(script(_SECONDS), _SECONDS, Bed.SILENCE)))
    loud = np.clip(np.rint(samples * 10 ** (gain_db / 20)), -32768, 32767).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(loud.tobytes())
    return path


def _manifest(line: dict[str, Any]) -> dict[str, Any]:
    uri = Path(line["artifacts"]["json"].removeprefix("file://"))
    manifest: dict[str, Any] = json.loads(uri.with_name("manifest.json").read_text("utf-8"))
    return manifest


def test_a_clipped_recording_is_complete_and_said_to_be_clipped_by_how_much(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    path = _written(tmp_path / "loud.wav", 20)
    done = stenoflow("transcribe", path, "--json")
    line = done.line
    assert (done.exit_code, line["status"], line["damaged"]) == (0, "complete", None)
    assert 0.1 < line["clipped"] < 1
    said = f"loud.wav: {line['clipped']:.1%} of the samples of speech are clipped"
    assert said in done.err
    assert f"{line['clipped']:.1%} of the samples of speech" in stenoflow("show", line["job"]).out
    shown = stenoflow("show", line["job"], "--json").line
    assert shown["clipped"] == _manifest(line)["clipped"] == line["clipped"]
    assert said in stenoflow("transcribe", path, "--json").err
    # Another job takes the first one's plan.
    assert said in stenoflow("transcribe", path, "--json", "--language", "en").err
    assert len(api.calls) == 2


@pytest.mark.parametrize(("gain_db", "is_louder"), [(-43, True), (0, False)])
def test_speech_that_is_too_soft_is_sent_louder_and_nothing_else(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, gain_db: int, is_louder: bool
) -> None:
    sent: list[float] = []

    def hear(audio: bytes, _fields: object) -> dict[str, Any]:
        (tmp_path / "sent.mp3").write_bytes(audio)
        heard = decode_all(tmp_path / "sent.mp3", cap_ms=60_000, ffmpeg=find_ffmpeg())
        sent.append(float(np.percentile(frame_levels(heard), 95)))
        return recognise(audio)

    api.recogniser = hear
    path = _written(tmp_path / "talk.wav", gain_db)
    line = stenoflow("transcribe", path, "--json").line
    assert (line["status"], line["clipped"]) == ("complete", None)
    (segment,) = stenoflow("show", line["job"], "--json").line["segments"]
    assert (30 < segment["gain_db"] < 50) == is_louder
    assert segment["gain_db"] == _manifest(line)["segments"][0].get("gain_db", 0)
    assert ("dB louder" in stenoflow("show", line["job"]).out) == is_louder
    heard = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in heard] == [word.text for word in script(_SECONDS)]
    # Another job with the same cuts sends the same.
    stenoflow("transcribe", path, "--json", "--language", "en")
    assert sent == [pytest.approx(-16 if is_louder else -13.5, abs=1.5)] * 2
