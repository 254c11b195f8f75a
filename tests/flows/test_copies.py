"""Copies beside a user's own files: what we wrote is replaced, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.program
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


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_copy_of_another_recording_of_that_name_stays(
    stenoflow: Command, meeting: Meeting, tmp_path: Path, out: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "talk.mp3").write_bytes(meeting.path.read_bytes() + folder.encode())
        assert stenoflow("transcribe", tmp_path / folder / "talk.mp3", "--out", out).exit_code == 0
    assert (out / "talk.html").read_bytes() != (out / "talk-2.html").read_bytes()


@pytest.mark.program
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


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_page_replaces_an_earlier_page_and_not_a_users_file(
    stenoflow: Command, meeting: Meeting, tmp_path: Path
) -> None:
    job = stenoflow("transcribe", meeting.path, "--json").line["job"]
    page, other = tmp_path / "talk.html", tmp_path / "talk-2.html"
    page.write_text("my own page")
    shown = stenoflow("show", job, "--page", page, "--json")
    assert page.read_text() == "my own page"
    assert shown.line["page"] == str(other)
    assert "talk.html is no page of this recording's, or was changed: the page is talk-2.html" in shown.err
    page.unlink()
    assert stenoflow("show", job, "--page", page, "--json").line["page"] == str(page)
    before = page.read_bytes()
    assert stenoflow("correct", job, _corrected(stenoflow, job, tmp_path)).exit_code == 0
    assert stenoflow("show", job, "--page", page, "--json").line["page"] == str(page)
    assert page.read_bytes() != before
    page.write_bytes(before + b"<!-- mine -->")
    assert stenoflow("show", job, "--page", page, "--json").line["page"] == str(other)


def _corrected(stenoflow: Command, job: str, tmp_path: Path) -> Path:
    artifact = json.loads(stenoflow("show", job, "--json").out)["artifacts"]["transcript.txt"]["uri"]
    corrected = tmp_path / "corrected.txt"
    corrected.write_text(
        Path(artifact.removeprefix("file://")).read_text("utf-8").replace("0 1 2", "zero 1 2", 1)
    )
    return corrected


@pytest.mark.usefixtures("api")
def test_voices_to_choose_from_replace_no_file_of_a_users(stenoflow: Command, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    folder.mkdir()
    (folder / "index.html").write_text("my own page")
    (folder / "nova.mp3").write_text("my own song")
    ask = ("speak", "--sample", "-o", folder, "--voice", "nova,echo")
    first = stenoflow(*ask, "Is this right?")
    assert (folder / "index.html").read_text() == "my own page"
    assert (folder / "nova.mp3").read_text() == "my own song"
    assert "nova-2.mp3" in first.err
    assert "Is this right?" in (folder / "index-2.html").read_text("utf-8")
    files = {path.name for path in folder.iterdir()}
    assert files == {"index.html", "index-2.html", "nova.mp3", "nova-2.mp3", "echo.mp3"}
    assert stenoflow(*ask, "Another line, then.").exit_code == 0
    assert {path.name for path in folder.iterdir()} == files
    assert "Another line" in (folder / "index-2.html").read_text("utf-8")
