"""`stenoflow correct`: an edited transcript, or a list of corrections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting, read_artifact


@pytest.mark.usefixtures("api")
def test_an_edited_transcript_or_a_list_becomes_corrections(
    stenoflow: Command, meeting: Meeting, tmp_path: Path
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    job, first, second = line["job"], meeting.words[0].text, meeting.words[1].text
    edited = tmp_path / "edited.txt"
    edited.write_text(read_artifact(line, "txt").replace(first, "hippopotamus", 1), "utf-8")
    assert stenoflow("correct", job[:6], edited, "--json").line["corrections"] == 1
    for name in ("txt", "srt", "vtt", "json", "html"):
        assert "hippopotamus" in read_artifact(line, name), name
    assert stenoflow("correct", job, edited, "--json").line["corrections"] == 0

    subtitles = tmp_path / "edited.srt"
    subtitles.write_text(read_artifact(line, "srt").replace(f" {second} ", " giraffe ", 1), "utf-8")
    assert stenoflow("correct", job, subtitles, "--json").line["corrections"] == 1
    assert read_artifact(line, "txt").startswith("hippopotamus giraffe")

    listed = tmp_path / "corrections.json"
    listed.write_text(json.dumps([{"start": 0, "end": 240, "speaker": "Anna"}]), "utf-8")
    assert stenoflow("correct", job, listed, "--json").line["corrections"] == 1
    assert read_artifact(line, "txt").startswith("Anna: hippopotamus giraffe")
    spoken = tmp_path / "spoken.txt"
    spoken.write_text(read_artifact(line, "txt"), "utf-8")
    assert stenoflow("correct", job, spoken, "--json").line["corrections"] == 0

    times = ("3, 1", "-1, 2", "1, NaN", "0, Infinity", "-Infinity, 1", "241, 242", "1e300, 1e301", '"0", "1"')
    given = [dict(zip(("start", "end"), each.split(", "), strict=True)) for each in times]
    outside = [f'[{{"start": {each["start"]}, "end": {each["end"]}, "text": "x"}}]' for each in given]
    for wrong in ("{", "[1]", '[{"start": 1, "end": 2}]', "[" * 100_000, *outside):
        listed.write_text(wrong, "utf-8")
        assert stenoflow("correct", job, listed).exit_code == 2, wrong[:80]
    assert stenoflow("correct", job, tmp_path / "nowhere.txt").exit_code == 2
    assert stenoflow("verify").exit_code == 0
