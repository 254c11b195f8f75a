"""Formats beside those that every job has: made where they are asked for, and kept from then on."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path
from typing import get_args

import docx
import pytest

from stenoflow.flows.cli import options
from stenoflow.tasks.artifacts.formats import FORMATS, optional
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.servers.audio_api import AudioApiServer

_SHORT = ("--segment-seconds", "120", "--json")


def _path(line: dict[str, dict[str, str]], name: str) -> Path:
    return Path(line["artifacts"][name].removeprefix("file://"))


def test_the_help_and_the_options_of_an_inbox_name_each_optional_format() -> None:
    (option,) = get_args(options.Formats)[1:]
    described = RecordingOptions.model_fields["formats"].description
    for name in optional(FORMATS):
        assert name.partition(".")[0] in option.help
        assert name.partition(".")[0] in (described or "")


@pytest.mark.program
def test_a_format_is_made_of_a_complete_job_without_a_call_and_kept(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    assert set(line["artifacts"]) == {"txt", "srt", "vtt", "json", "html"}
    calls = len(api.calls)

    wanted = ("--formats", "docx,karaoke", "--out", tmp_path / "out")
    asked = stenoflow("transcribe", meeting.path, *_SHORT, *wanted).line
    assert (asked["calls"], asked["job"], set(asked["artifacts"])) == (
        0,
        line["job"],
        {"docx", "karaoke.vtt"},
    )
    copy = tmp_path / "out" / "weekly meeting.docx"
    assert (tmp_path / "out" / "weekly meeting.karaoke.vtt").exists()
    text = "\n".join(each.text for each in docx.Document(io.BytesIO(copy.read_bytes())).paragraphs)
    assert all(word.text in text for word in meeting.words)
    manifest = json.loads(_path(line, "txt").with_name("manifest.json").read_text())
    named = {each["name"] for each in manifest["artifacts"]}
    assert {"transcript.docx", "transcript.karaoke.vtt", "transcript.html"} <= named
    assert 'href="transcript.docx"' in read_artifact(line, "html")

    whole = copy.read_bytes()
    _path(asked, "docx").unlink()
    again = stenoflow("transcribe", meeting.path, *_SHORT, "--formats", "tsv").line
    assert set(again["artifacts"]) == {"tsv"}
    assert _path(asked, "docx").read_bytes() == whole
    _path(asked, "docx").write_bytes(b"somebody else's")
    repaired = stenoflow("verify", "--repair", "--json").line
    assert repaired["repaired"] == ["transcript.docx"]
    assert _path(asked, "docx").read_bytes() == whole
    assert len(api.calls) == calls


def test_what_a_folder_says_is_made_too(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "talk.json").write_text('{"formats": ["tsv"]}')
    (inbox / "other.json").write_text('{"formats": ["pdf"]}')
    for name in ("talk.mp3", "other.mp3"):
        (inbox / name).write_bytes(meeting.path.read_bytes())
    lines = stenoflow("ingest", inbox, *_SHORT, "--interval", "0.1", "--formats", "txt,tsv").lines
    told = {line["source"].rsplit("/", 1)[-1]: line for line in lines}
    assert set(told["talk.mp3"]["artifacts"]) == {"txt", "tsv"}
    assert told["other.mp3"]["status"] == "refused"
    assert "no such format: pdf" in told["other.mp3"]["error"]["message"]
    assert api.calls


def test_what_lost_its_answers_is_not_made_less_for_another_format(
    stenoflow: Command, home: Path, api: AudioApiServer, meeting: Meeting
) -> None:
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    kept = read_artifact(line, "json")
    database = sqlite3.connect(home / "stenoflow.db")
    database.execute("DELETE FROM results")
    database.commit()
    database.close()
    printed = stenoflow("transcribe", meeting.path, *_SHORT, "--formats", "docx")
    assert (printed.exit_code, printed.line["error"]["kind"]) == (3, "unrepairable")
    assert read_artifact(line, "json") == kept
    assert len(api.calls) == 2
