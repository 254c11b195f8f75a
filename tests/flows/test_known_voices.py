"""Voices that are known again in the next recording: where that is switched on, and kept in the database."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sherpa_onnx", reason="the extra speakers")
pytest.importorskip("onnx")

from stenoflow.tasks.acoustics import diarizer, voice_models
from stenoflow.tasks.jobs.transcribe import known_voices
from stenoflow.tasks.media.encode import encode_mp3
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.voice_names import NamingRule
from tests.acoustics.test_sherpa_voices import ANN, BOB, PAUSE, tones
from tests.acoustics.tiny_sherpa import write_models
from tests.flows.conftest import Command, read_artifact, write_settings
from tests.servers.audio_api import AudioApiServer
from tests.voices import word_a_second

_VOICES = ("--speakers", "voices", "--json")
_KEEP = "[voices]\nkeep = true\n"


@pytest.fixture(autouse=True)
def _ready(api: AudioApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that hear tones, at the urgency of the tests; and an API that hears a word a second."""
    monkeypatch.setattr(diarizer, "NICENESS", 0)
    monkeypatch.setenv("STENOFLOW_DIARIZATION_MODELS", str(write_models(tmp_path / "models")))

    api.recogniser = word_a_second


def _record(folder: Path, name: str, *parts: tuple[float, float, float]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.mp3"
    encode_mp3([tones(*parts)], path, ffmpeg=find_ffmpeg())
    return path


@pytest.fixture
def monday(tmp_path: Path) -> Path:
    return _record(tmp_path / "talks", "monday", ANN, PAUSE, BOB)


@pytest.fixture
def tuesday(tmp_path: Path) -> Path:
    """Bob begins, so that the same label would be somebody else."""
    return _record(tmp_path / "talks", "tuesday", BOB, PAUSE, ANN, PAUSE)


def _speakers(line: dict[str, Any]) -> list[str]:
    assert line["status"] == "complete", line["error"]
    speakers: list[str] = json.loads(read_artifact(line, "json"))["speakers"]
    return speakers


def _kept(home: Path) -> list[tuple[str | None, str]]:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        return database.execute("SELECT name, vector FROM voiceprints ORDER BY id").fetchall()
    finally:
        database.close()


def test_nothing_is_kept_unless_it_is_switched_on(
    stenoflow: Command, home: Path, monday: Path, tuesday: Path
) -> None:
    stenoflow("transcribe", monday, *_VOICES, "--speaker", "A=Anna")
    assert _speakers(stenoflow("transcribe", tuesday, *_VOICES).line) == ["A", "B"]
    assert _kept(home) == []
    assert "keep = true" in stenoflow("voices", "list").err


def test_who_was_named_once_is_known_in_the_next_recording_and_forgotten(
    stenoflow: Command,
    home: Path,
    monday: Path,
    tuesday: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stenoflow("jobs")
    write_settings(_KEEP)
    first = stenoflow("transcribe", monday, *_VOICES).line
    assert _speakers(first) == ["A", "B"]
    assert [name for name, _ in _kept(home)] == [None, None]
    assert stenoflow("show", first["job"], "--rename", "A=Anna").exit_code == 0
    # Voices are told apart otherwise since, by the same weights.
    monkeypatch.setattr(voice_models, "_REVISION", 99)
    second = stenoflow("transcribe", tuesday, *_VOICES).line
    assert _speakers(second) == ["A", "Anna"]
    # Nobody has said that it was her: this recording's voice is not taken for hers.
    assert [name for name, _ in _kept(home)] == ["Anna", None, None, None]

    vectors = [base64.b64decode(vector) for _, vector in _kept(home)]
    stored = [path.read_bytes() for path in (home / "store").rglob("*") if path.is_file()]
    stored += [path.read_bytes() for path in (home / "logs").rglob("*") if path.is_file()]
    for vector in vectors:
        assert not any(vector in data or base64.b64encode(vector) in data for data in stored)

    listed = stenoflow("voices", "list", "--json").lines
    assert [(each["name"], each["recordings"]) for each in listed] == [("Anna", 1), (None, 2)]
    assert stenoflow("voices", "rename", "Anna", "Anna Bell").exit_code == 0
    assert stenoflow("voices", "merge", "Anna Bell", "Nobody").exit_code == 2
    assert stenoflow("voices", "forget", "Anna Bell").out == "1 voice erased\n"
    third = _record(tmp_path / "talks", "wednesday", ANN, PAUSE, BOB, PAUSE)
    assert _speakers(stenoflow("transcribe", third, *_VOICES).line) == ["A", "B"]
    assert stenoflow("forget", second["recording"], "--yes").exit_code == 0
    assert len(_kept(home)) == 3
    stenoflow("voices", "forget", "--all")
    assert _kept(home) == []


@pytest.mark.program
def test_where_it_is_not_clear_somebody_confirms_it(
    stenoflow: Command, home: Path, monday: Path, tuesday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stenoflow("jobs")
    write_settings(_KEEP)
    monkeypatch.setattr(known_voices, "_SHERPA", NamingRule(clear=2.0, perhaps=0.5))
    stenoflow("transcribe", monday, *_VOICES, "--speaker", "A=Anna", "--speaker", "B=Bob")
    line = stenoflow("transcribe", tuesday, *_VOICES).line
    assert _speakers(line) == ["Anna?", "Bob?"]
    assert [name for name, _ in _kept(home)] == ["Anna", "Bob", None, None]
    stenoflow("show", line["job"], "--rename", "Anna?=Anna", "--rename", "Bob?=Rob")
    assert json.loads(read_artifact(line, "json"))["speakers"] == ["Anna", "Rob"]
    assert [name for name, _ in _kept(home)] == ["Anna", "Bob", "Rob", "Anna"]
    assert stenoflow("voices", "merge", "Rob", "Bob").exit_code == 0
    assert {each["name"] for each in stenoflow("voices", "list", "--json").lines} == {"Anna", "Bob"}


@pytest.mark.program
def test_who_is_known_from_one_inbox_is_a_stranger_in_another_unless_that_is_chosen(
    stenoflow: Command, monday: Path, tuesday: Path, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    tables = f'[[inboxes]]\nname = "board"\naddress = "{inbox}"\n'
    stenoflow("jobs")
    write_settings(_KEEP + tables)
    stenoflow("transcribe", monday, *_VOICES, "--speaker", "A=Anna")
    (inbox / "tuesday.mp3").write_bytes(tuesday.read_bytes())
    assert _speakers(stenoflow("transcribe", inbox / "tuesday.mp3", *_VOICES).line) == ["A", "B"]
    write_settings(_KEEP + "across_inboxes = true\n" + tables)
    other = _record(inbox, "wednesday", ANN, PAUSE, BOB, PAUSE)
    assert _speakers(stenoflow("transcribe", other, *_VOICES).line) == ["Anna", "B"]


@pytest.mark.program
def test_with_a_key_voices_are_encrypted_and_without_it_nobody_is_known(
    stenoflow: Command,
    home: Path,
    monday: Path,
    tuesday: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("cryptography")
    stenoflow("jobs")
    write_settings(_KEEP)
    monkeypatch.setenv("STENOFLOW_VOICES_KEY", base64.urlsafe_b64encode(bytes(range(32))).decode())
    stenoflow("transcribe", monday, *_VOICES, "--speaker", "A=Anna")
    assert all(vector.startswith("fernet:gAAAA") for _, vector in _kept(home))
    assert _speakers(stenoflow("transcribe", tuesday, *_VOICES).line) == ["A", "Anna"]
    with sqlite3.connect(home / "stenoflow.db") as database:
        database.execute(
            "UPDATE voiceprints SET vector = ? WHERE id = 1", (base64.b64encode(bytes(64)).decode(),)
        )
    assert stenoflow("voices", "list").exit_code == 0
    assert all(vector.startswith("fernet:") for _, vector in _kept(home)), "those from before the key, too"
    monkeypatch.delenv("STENOFLOW_VOICES_KEY")
    third = _record(tmp_path / "talks", "wednesday", ANN, PAUSE, BOB, PAUSE)
    assert _speakers(stenoflow("transcribe", third, *_VOICES).line) == ["A", "B"]


@pytest.mark.program
def test_voices_and_who_was_invited_go_with_the_answers_that_retention_erases(
    stenoflow: Command, home: Path, monday: Path
) -> None:
    stenoflow("jobs")
    write_settings(_KEEP + "[retention]\nanswers = 60\n")
    inbox = monday.parent
    (inbox / "monday.json").write_text('{"speakers": "voices", "attendees": ["Anna Bell"]}')
    line = stenoflow("ingest", inbox, "--interval", "0.1", "--json").line
    assert stenoflow("show", line["job"], "--json").line["attendees"] == ["Anna Bell"]
    assert len(_kept(home)) == 2
    with sqlite3.connect(home / "stenoflow.db") as database:
        database.execute("UPDATE jobs SET finished_at = datetime(finished_at, '-70 days')")
    assert stenoflow("forget", "--expired", "--yes").exit_code == 0
    assert _kept(home) == []
    assert "attendees" not in stenoflow("show", line["job"], "--json").line


@pytest.mark.parametrize(
    "damaged", ["", "no base64", "AAAA", "AAAAAAAA", "fernet:x", base64.b64encode(b"\xff" * 1024).decode()]
)
def test_a_voice_that_is_damaged_is_passed_over(
    stenoflow: Command, home: Path, monday: Path, tuesday: Path, damaged: str
) -> None:
    stenoflow("jobs")
    write_settings(_KEEP)
    stenoflow("transcribe", monday, *_VOICES, "--speaker", "A=Anna", "--speaker", "B=Bob")
    with sqlite3.connect(home / "stenoflow.db") as database:
        database.execute("UPDATE voiceprints SET vector = ? WHERE name = 'Anna'", (damaged,))
    assert sorted(_speakers(stenoflow("transcribe", tuesday, *_VOICES).line)) == ["B", "Bob"]


def test_a_key_that_is_none_is_refused_before_anything_is_spent(
    stenoflow: Command, api: AudioApiServer, monday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stenoflow("jobs")
    write_settings(_KEEP)
    monkeypatch.setenv("STENOFLOW_VOICES_KEY", "secret")
    refused = stenoflow("transcribe", monday, *_VOICES)
    assert refused.exit_code == 2
    assert "STENOFLOW_VOICES_KEY is not" in refused.err
    assert "secret" not in refused.err
    assert not api.calls
