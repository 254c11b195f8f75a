"""Drop folders: what is new and complete is taken, once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
import wave
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from stenoflow.storage.objects.s3_client import make_client
from stenoflow.tasks.sources.inbox.bucket import BucketInbox
from stenoflow.tasks.sources.inbox.queue import open_queue
from tests.flows.conftest import Command, Meeting
from tests.flows.processes import command, wait_for
from tests.servers.audio_api import AudioApiServer
from tests.servers.s3 import Bucket, Queue

_LOOKS = ("--interval", "0.3", "--json")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


class Watching:
    """A watch in a process of its own, and what it has printed."""

    def __init__(self, process: Any, out: Path) -> None:
        self.process = process
        self._out = out

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.read_text("utf-8").splitlines()]

    def wait_for(self, lines: int) -> list[dict[str, Any]]:
        wait_for(lambda: len(self.lines) >= lines, self.process)
        return self.lines


@contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[Watching]:
    out = folder / "out"
    ingest = ["ingest", *arguments, "--watch", *_LOOKS]
    with out.open("w") as file, command(ingest, folder, stdout=file.fileno()) as process:
        yield Watching(process, out)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 130


@pytest.mark.program
def test_a_single_look_waits_no_longer_than_its_interval_however_long_looks_take(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Would be hours, of a folder that is watched.
    monkeypatch.setattr("stenoflow.flows.ingest._LOOKS_SHARE", 1e-9)
    shutil.copy(meeting.path, inbox / "a meeting.mp3")
    assert stenoflow("ingest", inbox, *_LOOKS).line["status"] == "complete"
    assert api.calls


@pytest.mark.program
def test_each_recording_is_taken_once_and_costs_once(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path
) -> None:
    shutil.copy(meeting.path, inbox / "a meeting.mp3")
    printed = stenoflow("ingest", inbox, *_LOOKS)
    assert (printed.exit_code, printed.line["status"], printed.line["calls"]) == (0, "complete", 1)
    again = stenoflow("ingest", inbox, *_LOOKS)
    assert (again.exit_code, again.out) == (0, "")
    os.utime(inbox / "a meeting.mp3")
    touched = stenoflow("ingest", inbox, *_LOOKS).line
    assert (touched["job"], touched["calls"]) == (printed.line["job"], 0)
    with (inbox / "a meeting.mp3").open("ab") as file:
        file.write(b"\0")
    revised = stenoflow("ingest", inbox, *_LOOKS).line
    assert revised["recording"] != printed.line["recording"]
    assert (revised["status"], len(api.calls)) == ("complete", 2)


def test_what_is_refused_is_in_jobs_with_its_reason_and_goes_where_it_was_asked_to(
    stenoflow: Command, api: AudioApiServer, inbox: Path
) -> None:
    (inbox / "text.mp3").write_text("no sound")
    (inbox / "empty.wav").touch()
    (inbox / "said.mp3").write_text("no matter what")
    (inbox / "said.json").write_text('{"langauge": "en"}')
    printed = stenoflow("ingest", inbox, *_LOOKS, "--reject")
    assert printed.exit_code == 4
    assert {line["status"] for line in printed.lines} == {"refused"}
    assert {line["error"]["kind"] for line in printed.lines} == {"not-audio", "options"}
    jobs = [json.loads(line) for line in stenoflow("jobs", "--json").out.splitlines()]
    assert {job["job"]: job["name"] for job in jobs} == {
        line["job"]: line["source"].rpartition("/")[2] for line in printed.lines
    }
    rejected = inbox.parent / "rejected"
    assert {path.name for path in rejected.glob("*.reason.txt")} == {
        f"{name}.reason.txt" for name in ("text.mp3", "empty.wav", "said.mp3")
    }
    assert "langauge" in (rejected / "said.mp3.reason.txt").read_text()
    assert (rejected / "said.json").read_text() == '{"langauge": "en"}'
    assert list(inbox.iterdir()) == []
    assert api.calls == []


def test_what_was_refused_before_goes_where_it_is_asked_to_now(
    stenoflow: Command, inbox: Path, tmp_path: Path
) -> None:
    for name in ("noise.mp3", "talk.mp3"):
        (inbox / name).write_bytes(b"no sound" * 100)
    (inbox / "talk.json").write_text("nonsense")
    (tmp_path / "elsewhere").mkdir()
    (inbox / "linked").symlink_to(tmp_path / "elsewhere")
    first = stenoflow("ingest", inbox, *_LOOKS)
    assert (first.exit_code, len(first.lines)) == (4, 2)
    assert first.err.count("linked is a link to a folder") == 1
    again = stenoflow("ingest", inbox, *_LOOKS, "--reject")
    assert (again.exit_code, again.out) == (0, "")
    assert again.err.count("was moved to") == 2
    moved = {path.name for path in (tmp_path / "rejected").iterdir()}
    assert moved == {"noise.mp3", "noise.mp3.reason.txt", "talk.json", "talk.mp3", "talk.mp3.reason.txt"}


@pytest.mark.program
def test_options_beside_a_recording_are_followed(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path
) -> None:
    (inbox / "board").mkdir()
    shutil.copy(meeting.path, inbox / "board" / "talk.mp3")
    (inbox / "board" / "stenoflow.toml").write_text('[recordings]\ntag = "board"\n')
    (inbox / "board" / "talk.json").write_text('{"language": "en", "segment_seconds": 60}')
    refused = stenoflow("ingest", inbox, *_LOOKS, "--tag", "all")
    assert (refused.exit_code, refused.line["error"]["kind"]) == (4, "options")
    assert "--allow tag" in refused.line["error"]["message"]
    assert stenoflow("ingest", inbox, "--allow", "tags").exit_code == 2
    line = stenoflow("ingest", inbox, *_LOOKS, "--tag", "all", "--allow", "tag").line
    assert line["segments"] > 1
    assert {call.values("language")[0] for call in api.calls} == {"en"}
    tags = {job["job"]: job["tag"] for job in stenoflow("jobs", "--json").lines}
    # What said that it was refused goes once it has been read.
    assert tags == {line["job"]: "board"}


@pytest.mark.program
def test_a_recording_whose_options_are_mended_is_taken(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")
    (inbox / "talk.json").write_text('{"language": "fr",')
    refused = stenoflow("ingest", inbox, *_LOOKS)
    assert (refused.exit_code, refused.line["error"]["kind"]) == (4, "options")
    assert stenoflow("ingest", inbox, *_LOOKS).out == ""
    resumed = stenoflow("resume", refused.line["job"])
    assert (resumed.exit_code, api.calls) == (2, [])
    (inbox / "talk.json").write_text('{"language": "fr"}')
    assert stenoflow("ingest", inbox, *_LOOKS).line["status"] == "complete"
    assert [call.values("language") for call in api.calls] == [["fr"]]


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_the_more_urgent_is_begun_first(
    stenoflow: Command, meeting: Meeting, inbox: Path, home: Path
) -> None:
    for name, priority in (("a", "bulk"), ("b", "normal"), ("c", "urgent")):
        (inbox / f"{name}.mp3").write_bytes(meeting.path.read_bytes() + name.encode())
        (inbox / f"{name}.json").write_text(json.dumps({"priority": priority}))
    printed = stenoflow("ingest", inbox, *_LOOKS, "--allow", "priority")
    assert [line["status"] for line in printed.lines] == ["complete"] * 3
    with closing(sqlite3.connect(home / "stenoflow.db")) as database:
        taken = database.execute("SELECT source FROM arrivals ORDER BY arrived_at").fetchall()
    assert [source.rpartition("/")[2] for (source,) in taken] == ["c.mp3", "b.mp3", "a.mp3"]


@pytest.mark.program
@pytest.mark.usefixtures("home")
def test_a_growing_file_is_taken_when_it_has_ended(
    api: AudioApiServer, meeting: Meeting, inbox: Path, tmp_path: Path
) -> None:
    data = meeting.path.read_bytes()
    with watching(tmp_path, str(inbox)) as watch:
        with (inbox / "growing.mp3").open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            (inbox / "unfinished.mp3.part").write_bytes(data)
            shutil.copy(meeting.path, inbox / "whole.mp3")
            (first,) = watch.wait_for(1)
            assert first["source"].endswith("whole.mp3")
            file.write(data[len(data) // 2 :])
        (inbox / "unfinished.mp3.part").rename(inbox / "finished.mp3")
        lines = watch.wait_for(3)
    assert {line["status"] for line in lines} == {"complete"}
    assert {line["source"].rpartition("/")[2] for line in lines[1:]} == {"growing.mp3", "finished.mp3"}
    assert len(api.calls) == 1, "they have the same sound"


@pytest.mark.program
@pytest.mark.usefixtures("home")
def test_a_watch_that_is_killed_loses_and_pays_nothing(
    api: AudioApiServer, meeting: Meeting, inbox: Path, tmp_path: Path
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")
    api.delay_s = 30
    with command(["ingest", str(inbox), "--watch", *_LOOKS], tmp_path) as killed:
        wait_for(lambda: api.peak > 0, killed)
        killed.kill()
    api.delay_s = 0
    with watching(tmp_path, str(inbox)) as watch:
        (line,) = watch.wait_for(1)
    assert line["status"] == "complete"
    assert len(api.calls) <= 2


@pytest.mark.program
@pytest.mark.usefixtures("home")
def test_a_queue_announces_what_the_next_look_would_find_in_an_hour(
    api: AudioApiServer,
    meeting: Meeting,
    bucket: Bucket,
    sqs_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_endpoint)
    sqs = boto3.session.Session().client("sqs")
    queue = sqs.create_queue(QueueName=bucket.name)["QueueUrl"]
    bucket.put("in/before.mp3", meeting.path.read_bytes())
    arguments = (f"{bucket.url}/in/", "--queue", queue, "--interval", "3600", "--watch", "--json")
    out = tmp_path / "out"
    with out.open("w") as file, command(["ingest", *arguments], tmp_path, stdout=file.fileno()) as process:
        watch = Watching(process, out)
        watch.wait_for(1)
        bucket.put("in/town hall.mp3", meeting.path.read_bytes() + b"\0")
        s3 = {"bucket": {"name": bucket.name}, "object": {"key": "in/town+hall.mp3"}}
        event = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})
        for _ in range(2):
            sqs.send_message(QueueUrl=queue, MessageBody=event)
        lines = watch.wait_for(2)
    assert lines[1]["source"] == f"{bucket.url}/in/town hall.mp3"
    assert len(api.calls) == 2


@pytest.mark.program
def test_a_single_look_empties_the_queue_but_for_what_is_not_ours(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, bucket: Bucket, queue: Queue
) -> None:
    bucket.put("in/talk.mp3", meeting.path.read_bytes())
    for key in ("in/talk.mp3", "in/talk.mp3", "in/gone.mp3", "out/other.mp3"):
        queue.announce(bucket.name, key)
    queue.say("hello")
    arguments = (f"{bucket.url}/in/", "--queue", queue.url, *_LOOKS)
    taken = stenoflow("ingest", *arguments)
    assert (taken.exit_code, taken.line["status"], len(api.calls)) == (0, "complete", 1)
    assert "names no recording" in taken.err
    assert queue.left() == 1
    again = stenoflow("ingest", *arguments)
    assert (again.exit_code, again.out, "names no recording" in again.err) == (0, "", False)


def test_where_nothing_is_new_a_single_look_says_so(stenoflow: Command, inbox: Path) -> None:
    found = stenoflow("ingest", inbox, *_LOOKS)
    assert (found.exit_code, found.out) == (0, "")
    assert f"nothing new to transcribe in {inbox.as_uri()}" in found.err


def test_options_that_say_nothing_are_refused(stenoflow: Command, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option, value in (("--done-to", tmp_path / "file"), ("--tag", ""), ("--tag", " ")):
        assert stenoflow("ingest", inbox, option, value).exit_code == 2


def test_a_queue_that_is_not_there_ends_it_at_once(
    stenoflow: Command, bucket: Bucket, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_endpoint)
    queue = f"{sqs_endpoint}/123456789012/none"
    refused = stenoflow("ingest", f"{bucket.url}/in/", "--queue", queue, "--watch")
    assert (refused.exit_code, "sqs:ReceiveMessage" in refused.err) == (2, True)


def test_messages_that_are_none_of_ours_are_said_once(
    bucket: Bucket, sqs_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_endpoint)
    sqs = boto3.session.Session().client("sqs")
    url = sqs.create_queue(QueueName=bucket.name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    queue = open_queue(url, BucketInbox(bucket.name, "in/", make_client))
    for _ in range(2):
        assert queue.receive() == []
    (notice,) = queue.notices
    assert notice == f"a message in {url} is passed over: it is no event of S3"
    sqs.purge_queue(QueueUrl=url)
    elsewhere = {"bucket": {"name": bucket.name}, "object": {"key": "out/talk.mp3"}}
    record = {"eventName": "ObjectCreated:Put", "s3": elsewhere}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))
    assert [each.entries for each in queue.receive()] == [()]
    assert queue.notices[1].endswith(f"names no recording of {bucket.url}/in/")


def test_a_queue_is_for_s3(stenoflow: Command, inbox: Path) -> None:
    assert stenoflow("ingest", inbox, "--queue", "https://sqs.eu-west-1.amazonaws.com/1/q").exit_code == 2
    assert stenoflow("ingest", inbox / "nothing").exit_code == 4


def test_what_is_rejected_replaces_nothing(stenoflow: Command, inbox: Path, tmp_path: Path) -> None:
    sibling = tmp_path / "second"
    sibling.mkdir()
    rejected = tmp_path / "rejected"
    rejected.mkdir()
    for number, folder in enumerate([inbox, sibling, inbox]):
        (folder / "talk.mp3").write_text(f"no sound {number}")
        (folder / "talk.json").write_text(f'{{"tag": "{number}"}}')
        assert stenoflow("ingest", folder, *_LOOKS, "--reject", "--allow", "tag").exit_code == 4
        assert list(folder.iterdir()) == []
    sounds = sorted(rejected.glob("*.mp3"))
    assert {path.read_text() for path in sounds} == {f"no sound {number}" for number in range(3)}
    assert {path.name for path in sounds} >= {"talk.mp3", "talk (second).mp3"}
    for path in sounds:
        assert json.loads(path.with_suffix(".json").read_text())["tag"] == path.read_text()[-1]
        assert "talk.mp3" in path.with_name(f"{path.name}.reason.txt").read_text()


@pytest.mark.program
def test_what_a_budget_refuses_stays_and_is_taken_once_there_is_room(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path, home: Path, tmp_path: Path
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")
    home.mkdir(exist_ok=True)
    (home / "stenoflow.toml").write_text("[budgets]\nmonth = 0.01\n")
    for _ in range(2):
        refused = stenoflow("ingest", inbox, *_LOOKS, "--reject")
        assert (refused.exit_code, refused.line["error"]["kind"]) == (4, "budget")
        assert [path.name for path in inbox.iterdir()] == ["talk.mp3"]
    assert not (tmp_path / "rejected").exists()
    assert api.calls == []
    (home / "stenoflow.toml").write_text("[budgets]\nmonth = 1\n")
    taken = stenoflow("ingest", inbox, *_LOOKS)
    assert (taken.exit_code, taken.line["status"]) == (0, "complete")
    assert stenoflow("ingest", inbox, *_LOOKS).out == ""


@pytest.mark.program
@pytest.mark.parametrize("mode", ["401", "500"])
def test_what_the_api_failed_at_is_taken_by_the_next_look(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path, mode: str
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")
    api.mode = mode
    for _ in range(2):
        assert stenoflow("ingest", inbox, *_LOOKS, "--reject").exit_code == 3
    api.mode = "ok"
    taken = stenoflow("ingest", inbox, *_LOOKS)
    assert (taken.exit_code, taken.line["status"]) == (0, "complete")
    assert stenoflow("ingest", inbox, *_LOOKS).out == ""


def test_what_the_api_will_not_take_is_not_sent_again(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")
    api.mode = "400"
    assert stenoflow("ingest", inbox, *_LOOKS).exit_code == 3
    calls = len(api.calls)
    assert stenoflow("ingest", inbox, *_LOOKS).out == ""
    assert len(api.calls) == calls


def test_an_error_that_nobody_foresaw_is_no_end(
    stenoflow: Command, meeting: Meeting, inbox: Path, api: AudioApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")

    def broken(*_: object) -> None:
        raise RuntimeError("Prefect answered 503")

    with monkeypatch.context() as patch:
        patch.setattr("stenoflow.flows.transcribe.prepare", broken)
        failed = stenoflow("ingest", inbox, *_LOOKS)
    assert (failed.exit_code, failed.line["status"]) == (1, "failed")
    (job,) = [json.loads(line) for line in stenoflow("jobs", "--json").out.splitlines()]
    assert (job["job"], job["state"]) == (failed.line["job"], "failed")
    assert stenoflow("ingest", inbox, *_LOOKS).exit_code == 0
    (job,) = [json.loads(line) for line in stenoflow("jobs", "--json").out.splitlines()]
    assert job["state"] == "complete"
    assert len(api.calls) == 1


@pytest.mark.program
def test_what_is_complete_is_moved_and_replaces_nothing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    (done / "sub").mkdir(parents=True)
    (done / "sub" / "talk.mp3").write_text("somebody's own")
    (inbox / "sub").mkdir()
    shutil.copy(meeting.path, inbox / "sub" / "talk.mp3")
    (inbox / "sub" / "talk.json").write_text('{"tag": "board"}')
    (inbox / "sub" / "talk.mp3.done").touch()
    (inbox / "noise.mp3").write_text("no sound")
    assert stenoflow("ingest", inbox, "--done-to", inbox / "done").exit_code == 2
    printed = stenoflow("ingest", inbox, *_LOOKS, "--done-to", done, "--allow", "tag")
    assert printed.exit_code == 4
    names = {str(path.relative_to(done)) for path in done.rglob("*") if path.is_file()}
    new = ("talk (inbox).mp3", "talk (inbox).json", "talk (inbox).mp3.done")
    assert names == {"sub/talk.mp3", *(f"sub/{name}" for name in new)}
    assert (done / "sub" / "talk.mp3").read_text() == "somebody's own"
    assert (done / "sub" / "talk (inbox).mp3").read_bytes() == meeting.path.read_bytes()
    assert [path.name for path in inbox.rglob("*") if path.is_file()] == ["noise.mp3"]
    assert len(api.calls) == 1


@pytest.mark.program
def test_what_was_complete_before_is_moved_now(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path, tmp_path: Path
) -> None:
    shutil.copy(meeting.path, inbox / "talk.mp3")
    assert stenoflow("ingest", inbox, *_LOOKS).exit_code == 0
    moved = stenoflow("ingest", inbox, *_LOOKS, "--done-to", tmp_path / "done")
    assert (moved.exit_code, moved.out, len(api.calls)) == (0, "", 1)
    assert (tmp_path / "done" / "talk.mp3").exists()


@pytest.mark.program
@pytest.mark.usefixtures("home")
def test_a_recording_that_is_written_every_now_and_then_is_bought_once(
    api: AudioApiServer, meeting: Meeting, inbox: Path, tmp_path: Path
) -> None:
    data, parts = meeting.path.read_bytes(), 12
    with watching(tmp_path, str(inbox)) as watch:
        for part in range(parts):
            with (inbox / "live.mp3").open("ab") as file:
                file.write(data[len(data) * part // parts : len(data) * (part + 1) // parts])
            time.sleep(0.35)
        (line,) = watch.wait_for(1)
    assert line["status"] == "complete"
    assert len(api.calls) == 1


def test_what_lacks_its_end_waits_and_says_so(
    stenoflow: Command, api: AudioApiServer, inbox: Path, tmp_path: Path
) -> None:
    with wave.open(str(tmp_path / "whole.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(64_000))
    (inbox / "live.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:40_000])
    waiting = stenoflow("ingest", inbox, *_LOOKS)
    assert (waiting.exit_code, waiting.out, api.calls) == (0, "", [])
    assert "not complete yet, left for the next time: live.wav" in waiting.err
    os.utime(inbox / "live.wav", (1_000_000_000, 1_000_000_000))
    assert stenoflow("ingest", inbox, *_LOOKS).line["damaged"] is not None


@pytest.mark.program
def test_what_a_folder_has_besides_recordings_is_said(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, inbox: Path
) -> None:
    for name in ("memo.qta", "browser.weba", "phone.3gpp", "ring.m4r"):
        shutil.copy(meeting.path, inbox / name)
    for name in ("notes.txt", "more.TXT", "scan.pdf", ".hidden"):
        (inbox / name).write_text(name)
    transcribed = stenoflow("transcribe", inbox, "--json")
    assert [line["status"] for line in transcribed.lines] == ["complete"] * 4
    assert "3 files in" in transcribed.err
    assert "passed over: 2 .txt, 1 .pdf" in transcribed.err
    assert "passed over: 2 .txt, 1 .pdf" in stenoflow("ingest", inbox, *_LOOKS).err
    assert len(api.calls) == 1
