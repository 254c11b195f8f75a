"""The timeline from the outside: no word lost, doubled or moved, where silence is scarce or long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, read_artifact
from tests.instrument.recording import Bed, SpokenNumber, script, write
from tests.servers.audio_api import AudioApiServer


def _heard(line: dict[str, Any]) -> list[dict[str, Any]]:
    words: list[dict[str, Any]] = json.loads(read_artifact(line, "json"))["words"]
    return words


def _check_words(line: dict[str, Any], truth: list[SpokenNumber]) -> None:
    heard = _heard(line)
    assert [word["word"] for word in heard] == [word.text for word in truth]
    errors = [abs(word["start"] * 1000 - said.start_ms) for word, said in zip(heard, truth, strict=True)]
    assert max(errors) < 5


@pytest.mark.program
@pytest.mark.parametrize("bed", [Bed.ROOM, Bed.NOISE, Bed.MUSIC])
def test_words_without_a_pause_stand_once_though_cuts_run_through_them(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path, bed: Bed
) -> None:
    truth = script(180, gapless=[(0, 180)])
    path = write(tmp_path / "debate.flac", truth, 180, bed=bed)
    line = stenoflow("transcribe", path, "--segment-seconds", "30", "--json").line
    assert (line["status"], line["missing"]) == ("complete", [])
    _check_words(line, truth)

    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert len(shown["seams"]) == line["segments"] - 1 == len(api.calls) - 1
    assert {seam["kind"] for seam in shown["seams"]} == {"overlapped"}
    assert {seam["joined_by"] for seam in shown["seams"]} == {"words"}
    assert all(len(seam["dropped"]) > 10 for seam in shown["seams"])
    assert "overlapped" in stenoflow("show", line["job"]).out


@pytest.mark.program
def test_long_silences_are_not_sent_and_words_behind_them_keep_their_times(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    truth = script(300, silences=[(20, 50), (70, 78), (100, 240), (280, 300)])
    path = write(tmp_path / "hearing.m4a", truth, 300, "-c:a", "aac", "-b:a", "64k")
    line = stenoflow("transcribe", path, "--segment-seconds", "60", "--json").line
    assert (line["status"], line["missing"]) == ("complete", [])
    _check_words(line, truth)
    silent_s = 30 + 8 + 140 + 20
    assert api.billed_seconds < 300 - silent_s + 10
    coverage = json.loads(read_artifact(line, "json"))["coverage"]
    silence = sum(each["end"] - each["start"] for each in coverage if each["kind"] == "silence")
    assert silence > silent_s - 5
    assert line["duration"] == pytest.approx(300, abs=0.05)


def test_a_model_without_times_still_says_each_word_once_across_forced_cuts(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    inner = api.recogniser
    api.recogniser = lambda sound, fields: {"text": inner(sound, fields)["text"]}
    truth = script(120, gapless=[(0, 120)])
    path = write(tmp_path / "debate.wav", truth, 120)
    line = stenoflow(
        "transcribe", path, "--model", "gpt-4o-transcribe", "--segment-seconds", "30", "--json"
    ).line
    assert [word["word"] for word in _heard(line)] == [word.text for word in truth]
