"""What is kept no longer than the settings say: explained, erased, and receipted."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.sources.uploads import Uploads
from tests.flows.conftest import Command, Meeting, charges
from tests.flows.processes import command
from tests.servers.audio_api import AudioApiServer


def _keep(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "stenoflow.toml").write_text(text, "utf-8")


def _end_days_ago(home: Path, days: int, job: str) -> None:
    with closing(sqlite3.connect(home / "stenoflow.db")) as database, database:
        changed = database.execute(
            "UPDATE jobs SET finished_at = datetime(finished_at, ?) WHERE id = ?", (f"-{days} days", job)
        )
        assert changed.rowcount == 1


def _receipts(home: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "stenoflow.db")) as database:
        asked = "SELECT kind, cause, job_id, items, erased_at FROM receipts ORDER BY id"
        return database.execute(asked).fetchall()


def _expired(stenoflow: Command, *arguments: str) -> list[dict[str, Any]]:
    printed = stenoflow("forget", "--expired", "--json", *arguments)
    assert printed.exit_code == 0, printed.err
    return printed.lines


@pytest.mark.program
def test_what_is_older_than_its_period_goes_and_a_receipt_stays(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    _keep(home, "[retention]\nartifacts = 30\nanswers = 60\n[retention.tags.board]\nartifacts = 10\n")
    again = tmp_path / "again.mp3"
    again.write_bytes(meeting.path.read_bytes() + b"\0")
    board = stenoflow("transcribe", meeting.path, "--tag", "board", "--json").line
    other = stenoflow("transcribe", again, "--json").line
    for line in (board, other):
        _end_days_ago(home, 20, line["job"])
    (would,) = _expired(stenoflow, "--dry-run")
    assert (would["job"], would["kind"], would["dry_run"]) == (board["job"], "artifacts", True)
    text = Path(board["artifacts"]["txt"].removeprefix("file://"))
    assert text.exists()
    (erased,) = _expired(stenoflow, "--yes")
    assert erased["items"] == would["items"]
    assert not text.exists()
    assert _expired(stenoflow, "--yes") == []
    ((kind, cause, job, items, erased_at),) = _receipts(home)
    assert (kind, cause, job) == ("artifacts", "retention", board["job"])
    assert {item["what"] for item in json.loads(items)} >= {"transcript.txt", "manifest.json"}
    assert all(len(item["sha256"]) == 64 for item in json.loads(items))
    assert erased_at
    assert stenoflow("verify").exit_code == 0
    assert Path(other["artifacts"]["txt"].removeprefix("file://")).exists()
    back = stenoflow("transcribe", meeting.path, "--tag", "board", "--json").line
    assert (back["status"], back["calls"]) == ("complete", 0)
    paid = charges(home)
    _end_days_ago(home, 61, board["job"])
    assert list((home / "store").rglob(f"{board['job']}/answers.json"))
    assert {each["kind"] for each in _expired(stenoflow, "--yes")} == {"artifacts", "answers"}
    assert not list((home / "store").rglob(f"{board['job']}/answers.json"))
    assert charges(home) == paid
    calls = len(api.calls)
    assert stenoflow("transcribe", meeting.path, "--tag", "board", "--json").line["calls"] == 1
    assert len(api.calls) == calls + 1


@pytest.mark.program
def test_an_answer_that_a_younger_job_needs_stays(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    _keep(home, "[retention]\nanswers = 60\n")
    shutil.copy(meeting.path, tmp_path / "copy.mp3")
    old = stenoflow("transcribe", meeting.path, "--json").line
    young = stenoflow("transcribe", tmp_path / "copy.mp3", "--json").line
    assert (young["calls"], len(api.calls)) == (0, 1)
    _end_days_ago(home, 61, old["job"])
    assert _expired(stenoflow, "--yes") == []
    _end_days_ago(home, 61, young["job"])
    assert {each["kind"] for each in _expired(stenoflow, "--yes")} == {"answers"}
    assert _expired(stenoflow, "--yes") == []


@pytest.mark.program
@pytest.mark.parametrize("done_to", ["", 'done_to = "{}/done"\n'])
@pytest.mark.usefixtures("api")
def test_a_complete_recording_leaves_its_inbox_and_nothing_else_does(
    stenoflow: Command, meeting: Meeting, home: Path, tmp_path: Path, done_to: str
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    _keep(
        home,
        f'[[inboxes]]\nname = "meetings"\naddress = "{inbox}"\n{done_to.format(tmp_path)}'
        "[retention.inboxes.meetings]\nrecordings = 7\n",
    )
    shutil.copy(meeting.path, inbox / "talk.mp3")
    (inbox / "talk.json").write_text("{}")
    (inbox / "noise.mp3").write_text("no sound")
    printed = stenoflow("ingest", inbox, "--interval", "0.3", "--json")
    job = next(line["job"] for line in printed.lines if line["status"] == "complete")
    outside = stenoflow("transcribe", meeting.path, "--json").line
    for each in (job, outside["job"]):
        _end_days_ago(home, 8, each)
    (gone,) = _expired(stenoflow, "--yes")
    assert (gone["job"], gone["kind"]) == (job, "recordings")
    assert [path.name for path in inbox.iterdir()] == ["noise.mp3"]
    assert meeting.path.exists()
    assert (tmp_path / "done" / "talk.mp3").exists() is bool(done_to)
    assert [receipt[:3] for receipt in _receipts(home)] == [("recordings", "retention", job)]


@pytest.mark.usefixtures("api")
def test_forgetting_is_explained_and_receipted(stenoflow: Command, meeting: Meeting, home: Path) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    would = stenoflow("forget", line["recording"], "--dry-run", "--json").line
    assert (would["dry_run"], would["would_erase"]["answers"]) == (True, 1)
    assert {item["what"] for item in would["would_erase"]["artifacts"]} >= {"transcript.txt"}
    assert "transcript.txt" in stenoflow("forget", line["recording"], "--dry-run").out
    assert stenoflow("verify").exit_code == 0
    assert stenoflow("forget", line["recording"][:3], "--yes").exit_code == 2
    assert stenoflow("forget", "--yes").exit_code == 2
    assert stenoflow("forget", line["recording"][:4], "--yes").exit_code == 0
    ((kind, cause, _, items, _),) = _receipts(home)
    assert (kind, cause) == ("all", "forget")
    assert {item["what"] for item in json.loads(items)} >= {"recording", "transcript.txt"}
    assert meeting.path.name not in items


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_what_people_corrected_goes_with_the_last_of_what_it_quotes(
    stenoflow: Command, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    _keep(home, "[retention]\nartifacts = 30\nanswers = 60\n")
    line = stenoflow("transcribe", meeting.path, "--json").line
    said = tmp_path / "corrections.json"
    said.write_text(json.dumps([{"start": 0, "end": 9, "text": "Hippopotamus"}]), "utf-8")
    assert stenoflow("correct", line["job"], said).exit_code == 0
    _end_days_ago(home, 31, line["job"])
    assert {each["kind"] for each in _expired(stenoflow, "--yes")} == {"artifacts"}
    assert _corrections(home) == 1, "the answers are there, and it is laid over them"
    _end_days_ago(home, 31, line["job"])
    assert {each["kind"] for each in _expired(stenoflow, "--yes")} == {"answers"}
    assert _corrections(home) == 0


def _corrections(home: Path) -> int:
    with closing(sqlite3.connect(home / "stenoflow.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM corrections").fetchone()
        return int(count)


@pytest.mark.usefixtures("api")
def test_what_was_sent_in_by_the_desk_goes_with_the_last_job_that_needs_it(
    stenoflow: Command, meeting: Meeting, home: Path
) -> None:
    _keep(home, "[retention]\nsound = 7\n")
    assert stenoflow("jobs").exit_code == 0
    with open_context(load_settings()) as context:
        uploads = Uploads(home, context.store)
        begun = uploads.begin("talk.mp3", meeting.path.stat().st_size, {})
        with uploads.appending(begun, 0) as part:
            part.write(meeting.path.read_bytes())
        source = uploads.finish(uploads.find(begun.id)).source
    assert source is not None
    assert not [path for path in (home / "uploads").rglob("*") if path.stat().st_mode & 0o077]
    old, young = (
        stenoflow("transcribe", source, "--segment-seconds", length, "--json").line
        for length in ("60", "120")
    )
    _end_days_ago(home, 8, old["job"])
    assert _expired(stenoflow, "--yes") == [], "the younger job has it"
    _end_days_ago(home, 8, young["job"])
    (gone,) = _expired(stenoflow, "--yes")
    assert [item["what"] for item in gone["items"]] == ["recording"]
    assert not list((home / "uploads").iterdir())
    assert meeting.path.exists()
    assert [receipt[:2] for receipt in _receipts(home)] == [("sound", "retention")]


@pytest.mark.usefixtures("api")
def test_an_inbox_that_is_away_keeps_its_periods(
    stenoflow: Command, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copy(meeting.path, inbox / "talk.mp3")
    _keep(
        home,
        f'[[inboxes]]\nname = "meetings"\naddress = "{inbox}"\n'
        "[retention]\nartifacts = 7\n[retention.inboxes.meetings]\nartifacts = 365\n",
    )
    line = stenoflow("transcribe", inbox / "talk.mp3", "--json").line
    _end_days_ago(home, 30, line["job"])
    inbox.rename(tmp_path / "not mounted")
    assert _expired(stenoflow, "--yes") == []
    assert Path(line["artifacts"]["txt"].removeprefix("file://")).exists()


_KILLED = """
import os, signal
from stenoflow.tasks.operations import retention
from stenoflow.flows.cli import main
remove = retention.remove
def killed(path):
    remove(path)
    os.kill(os.getpid(), signal.SIGKILL)
retention.remove = killed
main()
"""


@pytest.mark.usefixtures("api")
def test_what_a_killed_run_erased_has_its_receipt(
    stenoflow: Command, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    _keep(home, "[retention]\nsound = 7\n")
    line = stenoflow("transcribe", meeting.path, "--json").line
    _end_days_ago(home, 8, line["job"])
    cut = home / "work" / "segments" / f"{line['job']}.1" / "0.mp3"
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"sound")
    with command(["forget", "--expired", "--yes"], tmp_path, program=_KILLED) as process:
        process.communicate()
    assert not cut.exists()
    ((kind, cause, job, items, _),) = _receipts(home)
    assert (kind, cause, job) == ("sound", "retention", line["job"])
    assert [item["bytes"] for item in json.loads(items)] == [5]


@pytest.mark.usefixtures("api")
def test_what_could_not_be_erased_has_no_receipt(
    stenoflow: Command, meeting: Meeting, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(home, "[retention]\nsound = 7\n")
    line = stenoflow("transcribe", meeting.path, "--json").line
    _end_days_ago(home, 8, line["job"])
    cut = home / "work" / "segments" / f"{line['job']}.1"
    cut.write_bytes(b"sound")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr("stenoflow.tasks.operations.retention.remove", refuse)
    assert stenoflow("forget", "--expired", "--yes").exit_code != 0
    assert _receipts(home) == []
