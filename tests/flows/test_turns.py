"""Turns of a diariser, in RTTM: laid to the words, never a call more."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.flows.conftest import Command, read_artifact
from tests.instrument.recording import write
from tests.instrument.script import script
from tests.servers.audio_api import AudioApiServer

_SECONDS = 60
_WORDS = script(_SECONDS)
_OPTIONS = ("--segment-seconds", "30", "--json")
_TURN_S = 7.0


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("talk") / "talk.mp3", _WORDS, _SECONDS, "-b:a", "64k")


def _rttm(path: Path, names: tuple[str, ...], file_id: str = "talk") -> Path:
    lines = [
        f"SPEAKER {file_id} 1 {_TURN_S * number:.3f} {_TURN_S:.3f} <NA> <NA> {name} <NA> <NA>\n"
        for number in range(int(_SECONDS / _TURN_S) + 1)
        for name in [names[number % len(names)]]
    ]
    path.write_text("".join(lines))
    return path


def _who(number: int, names: tuple[str, ...]) -> str:
    middle_s = _WORDS[number].start_ms / 1000 + 0.1
    return names[int(middle_s / _TURN_S) % len(names)]


def test_words_go_to_their_turns_and_other_turns_cost_nothing(
    stenoflow: Command, api: AudioApiServer, talk: Path, tmp_path: Path, home: Path
) -> None:
    rttm = _rttm(tmp_path / "a.rttm", ("spk00", "spk01"), file_id="other")
    line = stenoflow("transcribe", talk, "--speakers", rttm, "--speaker", "spk00=Ann", *_OPTIONS).line
    document = json.loads(read_artifact(line, "json"))
    spoken = [word["speaker"] for word in document["words"]]
    assert spoken == [_who(word.number, ("Ann", "spk01")) for word in _WORDS]
    assert document["speakers"] == ["Ann", "spk01"]
    assert "\n\nspk01: " in read_artifact(line, "txt")
    calls = len(api.calls)

    rttm.unlink()
    Path(line["artifacts"]["txt"].removeprefix("file://")).unlink()
    assert stenoflow("verify", "--repair").exit_code == 0
    assert "\n\nspk01: " in read_artifact(line, "txt")

    three = _rttm(tmp_path / "b.rttm", ("x", "y", "z"))
    other = stenoflow("transcribe", talk, "--speakers", three, *_OPTIONS).line
    assert (other["calls"], other["reused"]) == (0, line["segments"])
    assert other["job"] != line["job"]
    plain = stenoflow("transcribe", talk, *_OPTIONS).line
    assert (plain["calls"], json.loads(read_artifact(plain, "json"))["speakers"]) == (0, [])
    assert len(api.calls) == calls
    assert stenoflow("forget", line["recording"], "--yes").exit_code == 0
    database = sqlite3.connect(home / "stenoflow.db")
    assert database.execute("SELECT count(*) FROM results").fetchone() == (0,), "who spoke is forgotten, too"
    database.close()


def test_a_bad_line_is_refused_by_its_number(
    stenoflow: Command, api: AudioApiServer, talk: Path, tmp_path: Path
) -> None:
    rttm = _rttm(tmp_path / "a.rttm", ("x",))
    rttm.write_text(rttm.read_text() + "SPEAKER talk 1 12.0 -1 <NA> <NA> x <NA> <NA>\n")
    refused = stenoflow("transcribe", talk, "--speakers", rttm)
    assert refused.exit_code == 2
    assert "line 10: its duration, '-1', is no number of seconds" in " ".join(refused.err.split())
    missing = stenoflow("transcribe", talk, "--speakers", "chanels")
    assert missing.exit_code == 2
    assert "none, channels, model, voices, or an RTTM file" in " ".join(missing.err.split())
    unknown = stenoflow("transcribe", talk, "--speakers", _rttm(rttm, ("x", "y")), "--speaker", "Z=Zoe")
    assert unknown.exit_code == 2
    assert "there are x, y" in unknown.err
    assert not api.calls


def test_turns_beside_a_recording_in_a_drop_folder_are_its(
    stenoflow: Command, api: AudioApiServer, talk: Path, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "talk.mp3").write_bytes(talk.read_bytes())
    _rttm(inbox / "talk.rttm", ("x", "y"))
    (inbox / "talk.json").write_text('{"names": {"x": "Xenia"}}')
    line = stenoflow("ingest", inbox, "--interval", "0.1", "--segment-seconds", "30", "--json").line
    assert line["status"] == "complete", line
    assert api.calls
    assert json.loads(read_artifact(line, "json"))["speakers"] == ["Xenia", "y"]
