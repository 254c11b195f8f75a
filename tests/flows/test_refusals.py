"""What is refused before any money is spent: one clear line, the right exit code, nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer


def _ffmpeg(*arguments: str) -> None:
    subprocess.run([find_ffmpeg().path, "-v", "error", "-y", *arguments], check=True)


def _missing(folder: Path) -> Path:
    return folder / "no such file.mp3"


def _empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _zero_bytes(folder: Path) -> Path:
    (folder / "zero.mp3").touch()
    return folder / "zero.mp3"


def _text(folder: Path) -> Path:
    (folder / "notes.mp3").write_text("These are the minutes of the meeting.\n" * 200)
    return folder / "notes.mp3"


def _video_without_sound(folder: Path) -> Path:
    path = folder / "silent film.mp4"
    _ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=2", f"file:{path}")
    return path


def _encrypted(folder: Path) -> Path:
    path = folder / "protected.mp4"
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=5")
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32, "-encryption_kid", "1" * 32)
    _ffmpeg(*tone, "-c:a", "aac", *key, f"file:{path}")
    return path


def _cut_off_before_its_index(folder: Path) -> Path:
    path = folder / "cut off.mp4"
    _ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=20", "-c:a", "aac", f"file:{path}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp3")
    return folder / "pipe.mp3"


def _playlist(folder: Path) -> Path:
    (folder / "list.mp3").write_text("ffconcat version 1.0\nfile 'notes.mp3'\n")
    return folder / "list.mp3"


@pytest.mark.parametrize(
    "make",
    [
        _missing,
        _empty_folder,
        _zero_bytes,
        _text,
        _video_without_sound,
        _encrypted,
        _cut_off_before_its_index,
        _fifo,
        _playlist,
    ],
)
def test_a_source_that_cannot_be_heard_is_refused_in_one_line(
    make: Callable[[Path], Path], stenoflow: Command, api: AudioApiServer, home: Path, tmp_path: Path
) -> None:
    path = make(tmp_path)
    printed = stenoflow("transcribe", path, "--json", "--out", tmp_path / "out")
    assert printed.exit_code == 4
    assert printed.line["status"] == "refused"
    message = printed.line["error"]["message"]
    assert path.name in message
    assert "\n" not in message
    assert "Traceback" not in printed.err
    assert api.calls == []
    assert not list((home / "store").rglob("*.*"))
    assert not list((tmp_path / "out").iterdir())


def test_the_others_of_a_call_go_on(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    printed = stenoflow("transcribe", _text(tmp_path), meeting.path, "--json")
    assert printed.exit_code == 4
    assert sorted(line["status"] for line in printed.lines) == ["complete", "refused"]
    assert len(api.calls) == 1


def test_a_file_that_may_not_be_read_is_refused(stenoflow: Command, meeting: Meeting, tmp_path: Path) -> None:
    path = tmp_path / "secret.mp3"
    path.write_bytes(meeting.path.read_bytes())
    path.chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root may read every file; tests/sources tries it as nobody")
    printed = stenoflow("transcribe", path, "--json")
    assert printed.exit_code == 4
    assert printed.line["error"]["kind"] == "unreadable"
    assert "secret.mp3" in printed.line["error"]["message"]


@pytest.mark.program
def test_more_than_the_budget_is_refused(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    printed = stenoflow("transcribe", meeting.path, "--budget", "0.02", "--json")
    assert printed.exit_code == 4
    assert printed.line["error"]["kind"] == "budget"
    assert api.calls == []
    assert stenoflow("transcribe", meeting.path, "--budget", "0.03", "--json").exit_code == 0


def test_an_unknown_price_is_no_price_of_nothing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    model = ("--model", "somebody/whisper-tuned")
    assert stenoflow("transcribe", meeting.path, *model, "--budget", "5", "--json").exit_code == 4
    assert api.calls == []
    line = stenoflow("transcribe", meeting.path, *model, "--json").line
    assert (line["status"], line["cost"]) == ("complete", None)
    assert "unknown" in stenoflow("jobs").out


def test_longer_than_the_settings_allow_is_refused(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_MAX_HOURS", "0.05")
    printed = stenoflow("transcribe", meeting.path, "--json")
    assert printed.exit_code == 4
    assert printed.line["error"]["kind"] == "too-long"
    assert api.calls == []


def test_what_is_too_short_for_the_api_is_refused(
    stenoflow: Command, api: AudioApiServer, tmp_path: Path
) -> None:
    path = tmp_path / "blip.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(b"\x00\x10\x00\xf0" * 700)
    printed = stenoflow("transcribe", path, "--json")
    assert printed.exit_code == 4
    assert printed.line["error"]["kind"] == "too-short"
    assert printed.line["error"]["message"] == "blip.wav lasts 0.088 s; less than 0.1 s is not sent"
    assert api.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--formats", "pdf"),
        ("--language", "klingon"),
        ("--segment-seconds", "1"),
        ("--concurrency", "0"),
        ("--budget", "much"),
        ("--no-such-option",),
        ("--stream", "7"),
    ],
)
def test_an_option_that_cannot_be_used_is_bad_usage(
    arguments: tuple[str, ...], stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    printed = stenoflow("transcribe", meeting.path, *arguments)
    assert printed.exit_code == 2
    assert "Traceback" not in printed.err
    assert api.calls == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STENOFLOW_DATABASE_URL", "mysql://somewhere/x"),
        ("STENOFLOW_STORE", "ftp://somewhere/x"),
        ("STENOFLOW_CONCURRENCY", "many"),
        ("OPENAI_BASE_URL", "localhost:8000"),
        ("OPENAI_API_KEY", "sk with spaces"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    name: str,
    value: str,
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    printed = stenoflow("transcribe", meeting.path)
    assert printed.exit_code == 2
    assert "error:" in printed.err
    assert "Traceback" not in printed.err
    assert api.calls == []


def test_a_full_disk_is_said_before_anything_is_begun(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOFLOW_LEAST_FREE_MB", "1000000000")
    printed = stenoflow("transcribe", meeting.path)
    assert printed.exit_code == 3
    assert "MB are left" in printed.err
    assert api.calls == []


def test_why_a_source_is_refused_is_said_once_where_both_streams_are_read(home: Path, tmp_path: Path) -> None:
    for path in (_missing(tmp_path), _text(tmp_path)):
        ran = subprocess.run(
            [sys.executable, "-c", "from stenoflow.flows.cli import main; main()", "transcribe", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        (line,) = ran.stdout.splitlines()
        assert ran.returncode == 4
        assert line.count(path.name) <= 2
        assert line.count("refused: ") == 1
    assert home.is_dir()


def test_a_job_says_once_what_it_lacks_and_what_to_do(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["400", "400", "ok", "ok"])
    arguments = (meeting.path, "--segment-seconds", "60", "--concurrency", "1", "--json")
    line = stenoflow("transcribe", *arguments).line
    assert line["status"] == "partial"
    message = line["error"]["message"]
    assert message.count("resume") == 1
    gaps = re.findall(r"(\d\d:\d\d:\d\d)-(\d\d:\d\d:\d\d)", message)
    assert gaps
    # Which segments come first, nobody knows; what touches is one.
    assert not {end for _, end in gaps} & {start for start, _ in gaps}
    shown = stenoflow("show", line["job"]).out
    assert shown.count("answered 400") == 1
    assert stenoflow("jobs").out.count(meeting.path.name) == 1
