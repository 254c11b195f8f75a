"""Speakers that a model tells apart keep their names across segments, by clips of them that go along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, read_artifact
from tests.instrument.diariser import Diariser
from tests.instrument.recording import write
from tests.instrument.script import SpokenNumber, script
from tests.servers.audio_api import AudioApiServer

_SECONDS = 75
_MODEL = ("--model", "gpt-4o-transcribe-diarize")
_OPTIONS = (*_MODEL, "--segment-seconds", "20", "--json")
_PEOPLE = ("Ada", "Bea", "Cleo")


def _who(number: int) -> str:
    """Change the speaker every 13 numbers, some 5 s; the third one comes late."""
    turn = number // 13
    return _PEOPLE[turn % (2 if number < 150 else 3)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("talk") / "talk.mp3", script(_SECONDS), _SECONDS, "-b:a", "64k")


@pytest.fixture(autouse=True)
def diariser(api: AudioApiServer) -> Diariser:
    diariser = Diariser(_who)
    api.recogniser = diariser
    return diariser


def _labels(line: dict[str, Any], words: list[SpokenNumber]) -> dict[str, set[str]]:
    """Return by which names each person goes."""
    document = json.loads(read_artifact(line, "json"))
    assert [word["word"] for word in document["words"]] == [word.text for word in words]
    names: dict[str, set[str]] = {}
    for word in document["words"]:
        names.setdefault(_who(int(word["word"])), set()).add(word["speaker"])
    return names


@pytest.mark.program
def test_who_is_heard_first_has_one_name_throughout(
    stenoflow: Command, api: AudioApiServer, diariser: Diariser, recording: Path
) -> None:
    printed = stenoflow("transcribe", recording, *_OPTIONS)
    line = printed.line
    assert line["status"] == "complete"
    names = _labels(line, script(_SECONDS))
    assert (names["Ada"], names["Bea"]) == ({"A"}, {"B"})
    assert all(name.startswith("C (segment ") for name in names["Cleo"])
    assert "told apart within one segment only" in printed.err
    assert "told apart" not in printed.out
    document = json.loads(read_artifact(line, "json"))
    assert (document["speakers_by"], document["speakers_throughout"]) == ("model", False)
    sent = [len(call.values("known_speaker_names[]")) for call in api.calls]
    assert sent == [0] + [2] * (line["segments"] - 1)
    assert all(2 <= seconds <= 10 for clips in diariser.clips_s for seconds in clips)
    assert {call.values("chunking_strategy")[0] for call in api.calls} == {"auto"}

    again = stenoflow("transcribe", recording, *_OPTIONS)
    assert (again.line["calls"], len(api.calls)) == (0, line["segments"])


def test_a_job_that_goes_on_sends_the_same_clips(
    stenoflow: Command, api: AudioApiServer, recording: Path
) -> None:
    api.script(["ok", "ok", "400", "400"])
    partial = stenoflow("transcribe", recording, *_OPTIONS).line
    assert partial["status"] == "partial"
    api.unscript()
    line = stenoflow("resume", partial["job"], "--json").line
    assert (line["status"], line["reused"]) == ("complete", 2)
    names = _labels(line, script(_SECONDS))
    assert (names["Ada"], names["Bea"]) == ({"A"}, {"B"})
    clips = {tuple(call.values("known_speaker_references[]")) for call in api.calls}
    assert len(clips) == 2, "none, and the same two in all other calls"


@pytest.mark.program
def test_a_server_that_takes_no_clips_still_transcribes_and_it_is_said(
    stenoflow: Command, api: AudioApiServer, recording: Path
) -> None:
    api.mode = "refuses-voices"
    printed = stenoflow("transcribe", recording, *_OPTIONS)
    line = printed.line
    assert line["status"] == "complete"
    refused = [call for call in api.calls if not call.charged]
    assert 1 <= len(refused) <= 3, "found out, and then not tried any more"
    names = _labels(line, script(_SECONDS))
    assert {"A (segment 0)", "B (segment 0)"} <= names["Ada"] | names["Bea"]
    assert all("segment" in name for name in names["Ada"] | names["Bea"])
    assert "told apart within one segment only" in printed.err
    folder = Path(line["artifacts"]["json"].removeprefix("file://")).parent
    speakers = json.loads((folder / "manifest.json").read_text())["speakers"]
    assert (speakers["by"], speakers["throughout"]) == ("model", False)


def test_a_model_that_cannot_is_refused_with_those_that_can(
    stenoflow: Command, api: AudioApiServer, recording: Path
) -> None:
    printed = stenoflow("transcribe", recording, "--speakers", "model", "--model", "whisper-1")
    assert printed.exit_code == 2
    assert "gpt-4o-transcribe-diarize" in printed.err
    assert not api.calls


def test_nobody_is_told_apart_where_that_is_not_wanted(
    stenoflow: Command, api: AudioApiServer, diariser: Diariser, recording: Path
) -> None:
    line = stenoflow("transcribe", recording, "--speakers", "none", *_OPTIONS).line
    document = json.loads(read_artifact(line, "json"))
    assert document["speakers"] == []
    assert len(api.calls) == line["segments"]
    assert not diariser.clips_s
