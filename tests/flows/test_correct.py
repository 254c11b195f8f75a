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


@pytest.mark.usefixtures("api")
def test_a_file_that_is_no_transcript_is_refused_and_nothing_is_changed(
    stenoflow: Command, meeting: Meeting, tmp_path: Path
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    job, before = line["job"], read_artifact(line, "txt")
    escaped = json.dumps([{"start": 0, "end": 4, "text": "one \x1b[2J two"}])
    wrong = {
        "bad.mp3": ("notaudio", "neither a transcript nor a list"),
        "bad": (before, "neither a transcript nor a list"),
        "empty.txt": ("", "is empty"),
        "blank.srt": ("\n \n", "is empty"),
        "control.txt": (before + "\x00\x07", "control characters"),
        "control.json": (escaped, "control characters"),
        "none.srt": ("some words", "no subtitles"),
        "none.vtt": ("WEBVTT\n", "no subtitles"),
        "none.ass": ("[Events]\nDialogue: 0,x,y,Default,,0,0,0,,said\n", "no subtitles"),
    }
    for name, (text, said) in wrong.items():
        (tmp_path / name).write_text(text, "utf-8")
        refused = stenoflow("correct", job, tmp_path / name, "--yes")
        told = " ".join(refused.err.split())
        assert (refused.exit_code, said in told, name in told) == (2, True, True), (name, told)
    assert read_artifact(line, "txt") == before
    assert stenoflow("correct", job, tmp_path / "control.json", "--yes", "--json").out == ""


@pytest.mark.usefixtures("api")
def test_a_file_that_loses_most_words_is_taken_only_where_that_is_meant(
    stenoflow: Command, meeting: Meeting, tmp_path: Path
) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    job, before = line["job"], read_artifact(line, "txt")
    words = before.split()
    shorter = tmp_path / "shorter.txt"
    other = tmp_path / "other.txt"
    other.write_text("The minutes of quite another meeting.", "utf-8")
    listed = tmp_path / "all.json"
    listed.write_text(json.dumps([{"start": 0, "end": 240, "text": "x"}]), "utf-8")
    for file in (other, listed):
        refused = stenoflow("correct", job, file)
        told = " ".join(refused.err.split())
        assert refused.exit_code == 2
        assert f"{len(words)} of {len(words)} would be lost" in told
        assert "--yes" in told
        assert "--undo takes it back" in told
    assert read_artifact(line, "txt") == before
    shorter.write_text(" ".join(words[: len(words) // 2 + 1]), "utf-8")
    assert stenoflow("correct", job, shorter, "--json").line["corrections"] == 1
    assert stenoflow("correct", job, other, "--yes", "--json").line["corrections"] > 0
    assert read_artifact(line, "txt").split() == other.read_text("utf-8").split()


@pytest.mark.usefixtures("api")
def test_what_a_file_changed_is_undone_as_one(stenoflow: Command, meeting: Meeting, tmp_path: Path) -> None:
    line = stenoflow("transcribe", meeting.path, "--json").line
    job, before = line["job"], read_artifact(line, "txt")
    edited, words = tmp_path / "edited.txt", meeting.words
    edited.write_text(before.replace(words[0].text, "hippopotamus", 1) + "at the end", "utf-8")
    assert stenoflow("correct", job, edited, "--json").line["corrections"] == 2
    first = read_artifact(line, "txt")
    edited.write_text(first.replace("hippopotamus", "giraffe", 1), "utf-8")
    assert stenoflow("correct", job, edited, "--json").line["corrections"] == 1
    said = [stenoflow("correct", job, "--undo").err for _ in range(2)]
    assert [each.strip() for each in said] == [
        "weekly meeting.mp3: 1 correction undone",
        "weekly meeting.mp3: 2 corrections undone",
    ]
    assert read_artifact(line, "txt") == before
    for wrong, why in (
        (["--undo"], "no correction that could"),
        ([edited, "--undo"], "either"),
        ([], "either"),
    ):
        refused = stenoflow("correct", job, *wrong)
        assert (refused.exit_code, why in refused.err) == (2, True), refused.err
