"""The main job from the outside: a recording goes in, every word comes out once at its time."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
from sqlalchemy import Connection, Engine, event

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.conftest import Command, Meeting, charges, read_artifact
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer
from tests.servers.postgres import postgres_database
from tests.servers.s3 import Bucket

_SHORT = ("--segment-seconds", "60", "--json")


def test_every_word_comes_out_once_at_its_time_and_costs_what_was_heard(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    printed = stenoflow("transcribe", meeting.path, *_SHORT)
    line = printed.line
    assert printed.exit_code == 0
    assert line["status"] == "complete"
    assert line["error"] is None
    assert line["segments"] == line["calls"] == len(api.calls) == 4
    assert (line["missing"], line["reused"]) == ([], 0)

    document = json.loads(read_artifact(line, "json"))
    assert [word["word"] for word in document["words"]] == [word.text for word in meeting.words]
    errors = [
        abs(heard["start"] * 1000 - said.start_ms)
        for heard, said in zip(document["words"], meeting.words, strict=True)
    ]
    assert max(errors) < 2
    assert document["language"] == "en"
    assert document["timing"] == "word"
    assert document["duration"] == line["duration"] == pytest.approx(meeting.seconds, abs=0.05)

    assert line["cost"] == "0.0240"
    assert sum(amount for kind, amount in charges(home) if kind == "actual") == 24_000
    assert sum(amount for _, amount in charges(home)) == 24_000


def test_all_formats_say_the_same_words(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    assert api.calls
    truth = [word.text for word in meeting.words]
    assert read_artifact(line, "txt").split() == truth
    for name in ("srt", "vtt"):
        cues = pysubs2.SSAFile.from_string(read_artifact(line, name), name)
        assert " ".join(cue.plaintext for cue in cues).split() == truth
        assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)


@pytest.mark.program
def test_a_recording_of_one_segment_takes_few_statements_and_transactions(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    asked: list[str] = []
    written: list[Connection] = []
    done = written.append

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # The display's own questions depend on how long it takes.
        if "OUTER JOIN" not in statement:
            asked.append(statement)

    assert stenoflow("jobs").exit_code == 0
    event.listen(Engine, "before_cursor_execute", note)
    event.listen(Engine, "commit", done)
    try:
        assert stenoflow("transcribe", meeting.path).exit_code == 0
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        event.remove(Engine, "commit", done)
    assert len(api.calls) == 1
    # Of a crowd of short recordings this is what takes longest.
    # The lease is renewed as often as it takes.
    renewed = [each for each in asked if each.startswith("UPDATE runs")]
    assert len(asked) - len(renewed) <= 105
    assert len(written) - len(renewed) <= 15


@pytest.mark.program
def test_the_manifest_names_what_is_there(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    line = stenoflow("transcribe", meeting.path, *_SHORT).line
    assert api.calls
    folder = Path(line["artifacts"]["json"].removeprefix("file://")).parent
    assert folder.parent.name == line["recording"]
    assert folder.name == line["job"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {each["name"] for each in manifest["artifacts"]} == {
        f"transcript.{name}" for name in ("txt", "srt", "vtt", "json", "html")
    }
    for each in manifest["artifacts"]:
        data = (folder / each["name"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (each["sha256"], each["bytes"])
    covered = manifest["coverage"]
    assert covered[0]["start"] == 0
    assert covered[-1]["end"] == line["duration"]
    assert all(one["end"] == two["start"] for one, two in pairwise(covered))


@pytest.mark.program
def test_a_second_run_and_a_rename_cost_nothing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    first = stenoflow("transcribe", meeting.path, *_SHORT).line
    calls, paid = len(api.calls), charges(home)
    again = stenoflow("transcribe", meeting.path, *_SHORT).line
    renamed = tmp_path / "renamed.mp3"
    shutil.copyfile(meeting.path, renamed)
    other = stenoflow("transcribe", renamed, *_SHORT).line
    assert len(api.calls) == calls
    assert charges(home) == paid
    for line in (again, other):
        assert (line["status"], line["calls"], line["reused"]) == ("complete", 0, first["segments"])
        assert line["cost"] == "0.0000"
    assert again["job"] == first["job"] != other["job"]
    assert read_artifact(other, "json") == read_artifact(first, "json")


@pytest.mark.program
def test_a_model_without_times_still_gives_subtitles_and_says_so(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    inner = api.recogniser
    api.recogniser = lambda sound, fields: {"text": inner(sound, fields)["text"]}
    line = stenoflow("transcribe", meeting.path, "--model", "gpt-4o-transcribe", "--json").line
    assert line["segments"] == 4
    assert {value for call in api.calls for value in call.values("response_format")} == {"json"}
    document = json.loads(read_artifact(line, "json"))
    assert document["timing"] == "estimated"
    assert [word["word"] for word in document["words"]] == [word.text for word in meeting.words]
    errors = [
        abs(heard["start"] * 1000 - said.start_ms)
        for heard, said in zip(document["words"], meeting.words, strict=True)
    ]
    assert sum(errors) / len(errors) < 1_500
    assert pysubs2.SSAFile.from_string(read_artifact(line, "srt"), "srt")


@pytest.mark.program
def test_copies_go_where_they_are_asked_for(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    twin = tmp_path / "other" / meeting.path.name
    twin.parent.mkdir()
    shutil.copyfile(meeting.path, twin)
    out = tmp_path / "out"
    printed = stenoflow("transcribe", meeting.path, twin, "--out", out, "--formats", "txt,srt", *_SHORT)
    assert printed.exit_code == 0
    assert api.calls
    assert sorted(path.name for path in out.iterdir()) == [
        "weekly meeting-2.srt",
        "weekly meeting-2.txt",
        "weekly meeting.srt",
        "weekly meeting.txt",
    ]
    assert len(printed.lines) == 2
    assert sum(line["calls"] for line in printed.lines) == 4
    assert set(printed.lines[0]["artifacts"]) == {"txt", "srt"}


@pytest.mark.program
def test_many_sources_run_side_by_side_under_one_limit(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.delay_s = 0.3
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(4):
        # Other bytes, so another recording: a tag behind the sound.
        (folder / f"{number}.mp3").write_bytes(
            meeting.path.read_bytes() + b"TAG" + bytes([48 + number]) * 125
        )
    printed = stenoflow("transcribe", folder, "--segment-seconds", "120", "--concurrency", "3", "--json")
    assert [line["status"] for line in printed.lines] == ["complete"] * 4
    assert len(api.calls) == 8
    assert api.peak <= 3


@pytest.mark.program
def test_copies_of_one_recording_in_one_call_are_all_whole_and_paid_for_once(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.delay_s = 0.2
    copies = [tmp_path / f"copy {number}.mp3" for number in range(4)]
    for copy in copies:
        shutil.copyfile(meeting.path, copy)
    printed = stenoflow("transcribe", *copies, "--segment-seconds", "20", "--concurrency", "3", "--json")
    assert printed.exit_code == 0
    assert [line["missing"] for line in printed.lines] == [[]] * 4
    assert len(api.calls) == printed.lines[0]["segments"] == sum(line["calls"] for line in printed.lines)


@pytest.mark.program
@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.mov"])
@pytest.mark.parametrize("late_s", [4.0, 7.5])
def test_a_videos_words_fit_the_video(
    name: str, late_s: float, stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    words = script(60)
    sound = write(tmp_path / "sound.wav", words, 60)
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=70")
    codec = ("-c:v", "mpeg4", "-c:a", "libopus" if name.endswith("mkv") else "aac", "-b:a", "64k")
    late = ("-itsoffset", str(late_s), "-i", f"file:{sound}")
    video = tmp_path / name
    ffmpeg = (find_ffmpeg().path, "-v", "error", "-y", *picture, *late, "-map", "0:v", "-map", "1:a", *codec)
    subprocess.run([*ffmpeg, f"file:{video}"], check=True)

    line = stenoflow("transcribe", video, "--json").line
    assert (line["status"], line["missing"]) == ("complete", [])
    assert api.calls
    heard = json.loads(read_artifact(line, "json"))["words"]
    assert [word["word"] for word in heard] == [word.text for word in words]
    errors = [
        abs(one["start"] * 1000 - said.start_ms - late_s * 1000)
        for one, said in zip(heard, words, strict=True)
    ]
    assert max(errors) < 25


@pytest.mark.program
def test_a_recording_in_s3_and_a_database_on_a_server(
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    bucket: Bucket,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.put("in box/Kickoff ü.mp3", meeting.path.read_bytes())
    monkeypatch.setenv("STENOFLOW_STORE", f"{bucket.url}/out")
    with postgres_database(postgres_url) as url:
        monkeypatch.setenv("STENOFLOW_DATABASE_URL", url)
        refused = stenoflow("jobs")
        assert refused.exit_code == 3
        assert "stenoflow db upgrade" in refused.err
        assert stenoflow("db", "upgrade").exit_code == 0
        line = stenoflow("transcribe", f"{bucket.url}/in box/", *_SHORT).line
        assert line["status"] == "complete"
        assert line["artifacts"]["txt"].startswith(f"{bucket.url}/out/{line['recording']}/")
        key = line["artifacts"]["txt"].removeprefix(f"{bucket.url}/")
        text = bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read().decode()
        assert text.split() == [word.text for word in meeting.words]
        assert stenoflow("transcribe", f"{bucket.url}/in box/", *_SHORT).line["calls"] == 0
        by_month = json.loads(stenoflow("costs", "--by", "month", "--json").out)
        assert by_month["cost"] == "0.024000"
    assert len(api.calls) == 4
