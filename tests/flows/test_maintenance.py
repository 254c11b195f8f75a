"""What was published is looked after: verified, built anew from stored answers, and forgotten when asked."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting, read_artifact
from tests.servers.audio_api import AudioApiServer


@pytest.fixture
def line(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> dict[str, object]:
    """A recording that was transcribed, under a tag."""
    printed = stenoflow("transcribe", meeting.path, "--tag", "board", "--segment-seconds", "60", "--json")
    assert len(api.calls) == 4
    return printed.line


def _path(line: dict[str, object], name: str) -> Path:
    artifacts = line["artifacts"]
    assert isinstance(artifacts, dict)
    return Path(str(artifacts[name]).removeprefix("file://"))


def test_what_is_lost_or_changed_is_found_and_built_anew_without_a_call(
    stenoflow: Command, api: AudioApiServer, line: dict[str, object]
) -> None:
    whole = {name: read_artifact(line, name) for name in ("txt", "srt", "vtt", "json", "html")}
    sound = stenoflow("verify", "--json")
    assert (sound.exit_code, sound.line["ok"], set(sound.line["artifacts"].values())) == (0, True, {"ok"})

    _path(line, "txt").unlink()
    _path(line, "srt").write_text("somebody else's")
    spoilt = stenoflow("verify", "--json")
    assert (spoilt.exit_code, spoilt.line["ok"]) == (3, False)
    assert (
        spoilt.line["artifacts"] | {"transcript.txt": "missing", "transcript.srt": "changed"}
        == (spoilt.line["artifacts"])
    )
    printed = stenoflow("verify")
    assert "transcript.srt" in printed.out
    assert "1 job looked at, 0 as recorded" in printed.err

    repaired = stenoflow("verify", str(line["job"]), "--repair", "--json")
    assert repaired.exit_code == 0
    assert set(repaired.line["repaired"]) == {"transcript.txt", "transcript.srt"}
    assert {name: read_artifact(line, name) for name in whole} == whole
    assert stenoflow("verify").exit_code == 0
    assert len(api.calls) == 4


def test_what_would_become_less_is_not_built_anew(
    stenoflow: Command, home: Path, line: dict[str, object]
) -> None:
    _path(line, "txt").unlink()
    kept = read_artifact(line, "json")
    database = sqlite3.connect(home / "stenoflow.db")
    database.execute("DELETE FROM results WHERE work_key = (SELECT work_key FROM segments LIMIT 1)")
    database.commit()
    database.close()
    printed = stenoflow("verify", "--repair", "--json")
    assert printed.exit_code == 3
    assert printed.line["error"]["kind"] == "unrepairable"
    assert read_artifact(line, "json") == kept


@pytest.mark.program
def test_a_recording_that_is_forgotten_is_gone_but_for_what_it_cost(
    stenoflow: Command,
    home: Path,
    meeting: Meeting,
    line: dict[str, object],
    api: AudioApiServer,
) -> None:
    before = stenoflow("costs", "--by", "tag", "--format", "json").line
    forgotten = stenoflow("forget", str(line["recording"])[:8], "--yes", "--json")
    assert forgotten.exit_code == 0
    assert forgotten.line["jobs"] == [line["job"]]
    assert forgotten.line["erased"] == 6
    assert forgotten.line["flow_runs"] == 0, "no server of Prefect's has seen it"
    assert stenoflow("jobs", "--json").lines == []
    assert stenoflow("costs", "--by", "tag", "--format", "json").line == before
    assert stenoflow("costs", "--by", "recording", "--format", "json").line["recording"] == "-"
    # Not even a word or the name, in any file of ours; the user's own is where it was.
    assert meeting.path.exists()
    said, name = meeting.words[100].text.encode(), b"weekly meeting"
    for path in (path for path in home.rglob("*") if path.is_file() and "prefect" not in path.parts):
        if path.suffix == ".db":
            database = sqlite3.connect(path)
            dump = "\n".join(database.iterdump()).encode()
            database.close()
            assert name not in dump
            assert b'"word": "' + said not in dump
        elif not path.suffix.startswith(".db-"):
            kept = path.read_bytes()
            assert name not in kept, path
            assert b'"word": "' + said not in kept, path
    assert stenoflow("forget", str(line["recording"]), "--yes", "--json").exit_code == 2
    receipt = stenoflow("forget", "--receipts", "--json").line
    assert (receipt["recording"], receipt["cause"]) == (line["recording"], "forget")
    assert len(receipt["items"]) == 7
    assert all(len(item["sha256"]) == 64 for item in receipt["items"])
    listed = stenoflow("forget", str(line["recording"])[:6], "--receipts")
    assert str(line["recording"]) in listed.out
    assert "Nothing was erased." in stenoflow("forget", "0000", "--receipts").err

    again = stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json").line
    assert again["calls"] == 4
    assert len(api.calls) == 8


@pytest.mark.program
@pytest.mark.usefixtures("line")
def test_an_answer_that_another_recording_uses_too_stays(
    stenoflow: Command, meeting: Meeting, tmp_path: Path, api: AudioApiServer
) -> None:
    copy = tmp_path / "copy.mp3"
    copy.write_bytes(meeting.path.read_bytes())
    other = stenoflow("transcribe", copy, "--segment-seconds", "60", "--json").line
    assert stenoflow("forget", meeting.path, "--yes").exit_code == 0
    assert stenoflow("forget", meeting.path, "--yes").exit_code == 2
    _path(other, "txt").unlink()
    assert stenoflow("verify", "--repair", "--json").line["repaired"] == ["transcript.txt"]
    assert len(api.calls) == 4
    assert json.loads(read_artifact(other, "json"))["words"]


def _lose_database(home: Path) -> None:
    for path in home.glob("stenoflow.db*"):
        path.unlink()


@pytest.mark.program
def test_a_database_that_was_lost_is_taken_back_from_the_store(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path, line: dict[str, object]
) -> None:
    costs = stenoflow("costs", "--by", "tag", "--format", "json").line
    shown = stenoflow("show", str(line["job"]), "--json").line
    whole = {name: read_artifact(line, name) for name in ("txt", "srt", "vtt", "json", "html")}
    _lose_database(home)
    said = stenoflow("verify", "--json")
    assert (said.exit_code, said.line["job"], said.line["ok"]) == (3, line["job"], False)
    assert said.line["error"]["kind"] == "unknown-to-database"
    assert "stenoflow db rebuild" in said.line["error"]["message"]

    assert stenoflow("db", "rebuild").exit_code == 0
    assert stenoflow("verify").exit_code == 0
    assert stenoflow("costs", "--by", "tag", "--format", "json").line == costs
    assert stenoflow("show", str(line["job"]), "--json").line == shown
    assert {name: read_artifact(line, name) for name in whole} == whole
    again = stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--json").line
    assert (again["status"], again["calls"], again["cost"]) == ("complete", 0, "0.0000")
    # The month's total is back as well: a cap holds.
    (home / "stenoflow.toml").write_text("[budgets]\nmonth = 0.03", "utf-8")
    assert "0.0240 of 0.0300 USD" in stenoflow("costs", "--by", "tag").err
    assert len(api.calls) == 4
    assert stenoflow("db", "rebuild").exit_code == 0
    assert stenoflow("costs", "--by", "tag", "--format", "json").line == costs


@pytest.mark.program
def test_an_older_copy_of_the_database_is_brought_up_to_date(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    short = ("transcribe", meeting.path, "--segment-seconds", "60", "--json")
    api.script(["ok", "ok", "ok", "400"])
    assert stenoflow(*short).line["status"] == "partial"
    database = sqlite3.connect(home / "stenoflow.db")
    copy = sqlite3.connect(home / "copy.db")
    database.backup(copy)
    database.close()
    copy.close()
    api.unscript()
    assert stenoflow(*short).line["calls"] == 1
    costs = stenoflow("costs", "--by", "tag", "--format", "json").line
    _lose_database(home)
    (home / "copy.db").rename(home / "stenoflow.db")

    assert stenoflow("verify").exit_code == 3
    assert stenoflow("db", "rebuild").exit_code == 0
    assert stenoflow("verify").exit_code == 0
    again = stenoflow(*short).line
    assert (again["status"], again["calls"]) == ("complete", 0)
    assert stenoflow("costs", "--by", "tag", "--format", "json").line == costs
    assert stenoflow("verify").exit_code == 0
    assert len(api.calls) == 5


@pytest.mark.program
def test_a_record_that_cannot_be_read_is_told_and_hinders_no_other(
    stenoflow: Command, home: Path, line: dict[str, object]
) -> None:
    _lose_database(home)
    for name, text in (("1" * 12, "{"), ("2" * 12, '{"job": {"id": 1}}'), ("3" * 12, "[]")):
        folder = home / "store" / ("f" * 16) / name
        folder.mkdir(parents=True)
        (folder / "answers.json").write_text(text)
    assert stenoflow("db", "rebuild").exit_code == 3
    assert [each["job"] for each in stenoflow("jobs", "--json").lines] == [line["job"]]
