"""Copies beside a user's own files: what we wrote is replaced, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.usefixtures("api")
def test_a_copy_replaces_what_we_wrote_and_not_what_others_did(
    stenoflow: Command, meeting: Meeting, tmp_path: Path, out: Path
) -> None:
    recording = tmp_path / "talk.mp3"
    shutil.copy(meeting.path, recording)
    out.mkdir()
    (out / "talk.txt").write_text("my own notes")
    (out / "talk.json").mkdir()
    copied = stenoflow("transcribe", recording, "--out", out)
    assert copied.exit_code == 0
    assert (out / "talk.txt").read_text() == "my own notes"
    assert "talk.txt is no copy of this recording's, or was changed: the copy is talk-2.txt" in copied.err
    text = (out / "talk-2.txt").read_text()
    assert text.startswith("0 1 2 3")
    names = {"talk.txt", "talk-2.txt", "talk.json", "talk-2.json", "talk.srt", "talk.vtt", "talk.html"}
    assert {path.name for path in out.iterdir()} == names
    assert stenoflow("transcribe", recording, "--out", out).exit_code == 0
    (out / "talk-2.txt").write_text(text + "corrected by hand")
    assert stenoflow("transcribe", recording, "--out", out).exit_code == 0
    assert (out / "talk-2.txt").read_text() == text + "corrected by hand"
    assert (out / "talk-3.txt").read_text() == text
    assert {path.name for path in out.iterdir()} == names | {"talk-3.txt"}


@pytest.mark.usefixtures("api")
def test_a_copy_of_another_recording_of_that_name_stays(
    stenoflow: Command, meeting: Meeting, tmp_path: Path, out: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "talk.mp3").write_bytes(meeting.path.read_bytes() + folder.encode())
        assert stenoflow("transcribe", tmp_path / folder / "talk.mp3", "--out", out).exit_code == 0
    assert (out / "talk.html").read_bytes() != (out / "talk-2.html").read_bytes()


@pytest.mark.usefixtures("api")
def test_a_copy_that_we_made_before_is_brought_up_to_date(
    stenoflow: Command, meeting: Meeting, out: Path
) -> None:
    line = stenoflow("transcribe", meeting.path, "--segment-seconds", "60", "--out", out, "--json").line
    before = (out / f"{meeting.path.stem}.json").read_bytes()
    files = {path.name for path in out.iterdir()}
    other = ("--segment-seconds", "30", "--out", out, "--json")
    assert stenoflow("transcribe", meeting.path, *other).line["job"] != line["job"]
    assert (out / f"{meeting.path.stem}.json").read_bytes() != before
    assert {path.name for path in out.iterdir()} == files
