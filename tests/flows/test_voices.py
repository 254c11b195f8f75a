"""Speakers told by their voices, beside the transcription or after it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stenoflow.tasks.acoustics import diarizer
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.speakers import Turn
from tests.flows.conftest import Command, read_artifact
from tests.servers.audio_api import AudioApiServer
from tests.voices import Talk, needs_voices, talk, word_a_second

pytestmark = needs_voices

_OPTIONS = ("--json", "--segment-seconds", "30")


@pytest.fixture(autouse=True)
def _as_urgent_as_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine would let it wait for as long as it is busy."""
    monkeypatch.setattr(diarizer, "NICENESS", 0)


@pytest.fixture(scope="module")
def spoken() -> Talk:
    return talk(["lee", "michael", "linda"], 60, 5)


@pytest.fixture
def recording(spoken: Talk, tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp3"
    encode_mp3([spoken.sound], path, ffmpeg=find_ffmpeg())
    return path


@pytest.fixture(autouse=True)
def _hears_a_word_a_second(api: AudioApiServer) -> None:
    """A word in each second, whoever speaks."""

    api.recogniser = word_a_second


def _right(document: dict[str, Any], turns: tuple[Turn, ...], names: dict[str, str]) -> float:
    """Return the share of the words inside turns that have the right speaker."""
    right = [
        word.get("speaker") == names[turn.speaker]
        for word in document["words"]
        for turn in turns
        if turn.start_ms <= word["start"] * 1000 and word["end"] * 1000 <= turn.end_ms
    ]
    assert len(right) > 20
    return float(sum(right)) / len(right)


def test_voices_are_told_apart_and_named(stenoflow: Command, recording: Path, spoken: Talk) -> None:
    line = stenoflow(
        "transcribe", recording, "--speakers", "voices", "--speaker", "A=Lee Young", *_OPTIONS
    ).line
    assert line["status"] == "complete", line
    document = json.loads(read_artifact(line, "json"))
    assert document["speakers"] == ["B", "C", "Lee Young"]
    assert document["speakers_by"] == "voices"
    assert document["speakers_model"].startswith("ge2e 39373b86598f")
    assert document["speakers_experimental"] is True
    assert "which is experimental" in read_artifact(line, "html")
    assert _right(document, spoken.turns, {"lee": "Lee Young", "michael": "B", "linda": "C"}) > 0.95
    assert "\n\nB: " in read_artifact(line, "txt")


def test_a_finished_job_gets_speakers_without_a_call_and_they_are_told_once(
    stenoflow: Command,
    api: AudioApiServer,
    recording: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = stenoflow("transcribe", recording, *_OPTIONS).line
    calls = len(api.calls)
    told = stenoflow("show", plain["job"], "--speakers", "voices", "--max-speakers", "2", "--json").line
    assert (told["status"], told["calls"], told["reused"]) == ("complete", 0, plain["segments"])
    assert told["job"] != plain["job"]
    assert json.loads(read_artifact(told, "json"))["speakers"] == ["A", "B"]
    assert json.loads(read_artifact(plain, "json"))["speakers"] == []

    monkeypatch.setattr(diarizer, "_PROGRAM", "stenoflow.gone")
    again = stenoflow("transcribe", recording, "--speakers", "voices", "--max-speakers", "2", *_OPTIONS).line
    assert (again["job"], again["status"]) == (told["job"], "complete")
    other = recording.with_name("the same.mp3")
    other.write_bytes(recording.read_bytes())
    same = stenoflow("transcribe", other, "--speakers", "voices", "--max-speakers", "2", *_OPTIONS).line
    assert json.loads(read_artifact(same, "json"))["speakers"] == ["A", "B"]
    assert len(api.calls) == calls
    for recording_id in (plain["recording"], same["recording"]):
        assert stenoflow("forget", recording_id, "--yes").exit_code == 0
    database = sqlite3.connect(home / "stenoflow.db")
    assert database.execute("SELECT count(*) FROM results").fetchone() == (0,), "who spoke is forgotten, too"
    database.close()


def test_where_voices_cannot_be_told_apart_the_transcript_is_there_and_resume_tries_again(
    stenoflow: Command, api: AudioApiServer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(diarizer, "_PROGRAM", "stenoflow.gone")
        line = stenoflow("transcribe", recording, "--speakers", "voices", *_OPTIONS).line
    assert (line["status"], line["error"]["kind"]) == ("partial", "voices")
    document = json.loads(read_artifact(line, "json"))
    assert document["speakers"] == []
    assert document["words"]
    calls = len(api.calls)
    again = stenoflow("resume", line["job"], "--json").line
    assert (again["job"], again["status"], again["calls"]) == (line["job"], "complete", 0)
    assert json.loads(read_artifact(again, "json"))["speakers"] == ["A", "B", "C"]
    assert len(api.calls) == calls


def test_options_beside_a_recording_ask_for_it(stenoflow: Command, recording: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "talk.mp3").write_bytes(recording.read_bytes())
    (inbox / "talk.json").write_text('{"speakers": "voices", "min_speakers": 2, "max_speakers": 2}')
    line = stenoflow("ingest", inbox, "--interval", "0.1", "--json").line
    assert line["status"] == "complete", line
    assert json.loads(read_artifact(line, "json"))["speakers"] == ["A", "B"]
