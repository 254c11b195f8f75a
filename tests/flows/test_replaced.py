"""Another file at the name of a recording: who goes on with a job of before does not take it for that."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting, write_settings
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer


@pytest.fixture
def dropped(home: Path, meeting: Meeting, tmp_path: Path) -> Path:
    """A recording in an inbox of the settings."""
    (tmp_path / "inbox").mkdir()
    path = tmp_path / "inbox" / "talk.mp3"
    path.write_bytes(meeting.path.read_bytes())
    write_settings(f'[[inboxes]]\nname = "meetings"\naddress = "{tmp_path / "inbox"}"\n')
    assert home.exists()
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A recording that is none of the inbox's."""
    (tmp_path / "board").mkdir()
    return write(tmp_path / "board" / "secret.mp3", script(30, seed=7), 30, "-b:a", "64k")


def _jobs(home: Path) -> int:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        (count,) = database.execute("SELECT count(*) FROM jobs").fetchone()
        return int(count)
    finally:
        database.close()


@pytest.mark.program
@pytest.mark.parametrize("by_link", [True, False])
def test_what_was_put_in_its_place_is_neither_resumed_nor_rehearsed(
    stenoflow: Command, api: AudioApiServer, dropped: Path, secret: Path, home: Path, *, by_link: bool
) -> None:
    api.script(["ok", "400"])
    line = stenoflow("transcribe", dropped, "--segment-seconds", "60", "--json").line
    assert line["status"] in {"partial", "failed"}
    calls, jobs = len(api.calls), _jobs(home)
    dropped.unlink()
    if by_link:
        dropped.symlink_to(secret)
    else:
        dropped.write_bytes(secret.read_bytes())
    resumed = stenoflow("resume", line["job"], "--json")
    assert resumed.exit_code != 0
    why = "a link out of its folder" if by_link else "another recording now"
    assert why in json.dumps(resumed.lines) + resumed.err
    rehearsed = stenoflow("rehearse", "--successor", "gpt-4o-transcribe", "--json")
    assert rehearsed.exit_code != 0
    assert why in json.dumps(rehearsed.lines) + rehearsed.err
    assert (len(api.calls), _jobs(home)) == (calls, jobs)


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.usefixtures("api")
def test_a_link_out_of_an_inbox_that_was_refused_is_not_resumed(
    stenoflow: Command, dropped: Path, secret: Path, home: Path, *, is_listed: bool
) -> None:
    if not is_listed:
        # Whoever empties it names it; the settings do not.
        write_settings("")
    dropped.unlink()
    dropped.symlink_to(secret)
    refused = stenoflow("ingest", dropped.parent, "--looks", "1", "--json").line
    assert refused["status"] == "refused"
    jobs = _jobs(home)
    resumed = stenoflow("resume", refused["job"], "--json")
    assert resumed.exit_code != 0
    assert "a link out of its folder" in json.dumps(resumed.lines) + resumed.err
    assert _jobs(home) == jobs
    # Whoever names it himself may have it transcribed.
    assert stenoflow("transcribe", dropped, "--json").line["status"] == "complete"
