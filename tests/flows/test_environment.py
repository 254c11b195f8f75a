"""The whole program, in a process of its own, in environments that people have."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stenoflow.flows.prefect_server import surround
from tests.flows.conftest import Meeting
from tests.servers.audio_api import AudioApiServer
from tests.waiting import wait_for

_PROGRAM = [sys.executable, "-c", "from stenoflow.flows.cli import main; main()"]


@pytest.fixture(autouse=True)
def hangups_are_heard() -> Iterator[None]:
    """Let children hear of a terminal that hangs up, even where whoever runs the tests ignores that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def _environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STENOFLOW_"))
    }
    return {**kept, "STENOFLOW_HOME": str(home), **more}


def _run(home: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*_PROGRAM, *arguments],
        env=_environment(home, **more),
        capture_output=True,
        check=False,
        cwd=home.parent,
    )


_PROXIES = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "NO_PROXY": "[fd00::1],fe80::/10",
    "SSL_CERT_FILE": "/nowhere/ca.pem",
    "PREFECT_SERVER_API_AUTH_STRING": "admin:pass",
}


@pytest.mark.program
def test_proxies_keep_nobody_from_this_machine(api: AudioApiServer, meeting: Meeting, home: Path) -> None:
    done = _run(home, "transcribe", meeting.path, "--json", **_PROXIES)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "complete"), done.stderr
    assert api.calls


def test_a_proxy_that_cannot_be_used_is_named(meeting: Meeting, home: Path) -> None:
    away = {"OPENAI_BASE_URL": "https://api.example/v1", "OPENAI_API_KEY": "sk-1"}
    done = _run(home, "transcribe", meeting.path, **away, SSL_CERT_FILE="/nowhere/ca.pem")
    assert (done.returncode, b"SSL_CERT_FILE" in done.stderr) == (2, True), done.stderr


_NOT_UTF_8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_name_in_chinese_and_a_locale_that_has_no_such_signs(
    meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    recording = shutil.copy(meeting.path, tmp_path / "会议 😀.mp3")
    out = tmp_path / "抄本"
    done = _run(home, "transcribe", recording, "--out", out, **_NOT_UTF_8)
    assert done.returncode == 0, done.stderr
    assert (out / "会议 😀.txt").is_file()
    for command in (["jobs"], ["jobs", "--json"], ["costs", "--by", "recording"]):
        printed = _run(home, *command, **_NOT_UTF_8)
        assert printed.returncode == 0, printed.stderr
        assert printed.stdout.isascii()
    line = json.loads(_run(home, "jobs", "--json", **_NOT_UTF_8).stdout)
    assert line["name"] == "会议 😀.mp3"
    assert _run(home, "show", line["job"], **_NOT_UTF_8).returncode == 0
    assert "会议" in _run(home, "jobs").stdout.decode()


@pytest.mark.program
@pytest.mark.parametrize("name", ["a%20b", "a?b=c", "a#b", "a b", "日本", "%2e%2e"])
def test_the_database_lies_in_the_home_whatever_that_is_called(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    done = _run(home, "jobs")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert (home / "stenoflow.db").is_file()


def _modes(home: Path) -> dict[str, str]:
    return {
        str(path.relative_to(home)): oct(path.lstat().st_mode & 0o777)
        for path in [home, *home.rglob("*")]
        if path.lstat().st_mode & 0o077
    }


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_home_is_its_owners_alone_and_an_old_one_is_tightened(meeting: Meeting, home: Path) -> None:
    assert _run(home, "transcribe", meeting.path).returncode == 0
    assert _modes(home) == {}
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert _run(home, "jobs").returncode == 0
    assert _modes(home) == {}


def test_a_home_that_others_use_is_left_as_it_is(home: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    home.symlink_to(shared)
    assert _run(home, "jobs").returncode == 0
    assert shared.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.program
def test_a_terminal_that_hangs_up_ends_it_as_ctrl_c_does(
    api: AudioApiServer, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copy(meeting.path, inbox)
    process = subprocess.Popen(
        [*_PROGRAM, "ingest", inbox, "--watch", "--interval", "0.2"],
        env=_environment(home, OPENAI_BASE_URL=api.base_url, OPENAI_API_KEY="sk-1"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.set_blocking(ours, False)

    def is_at_work() -> bool:
        # Somebody reads the terminal, or it would fill up.
        with suppress(BlockingIOError):
            os.read(ours, 65_536)
        return bool(api.calls)

    wait_for(is_at_work, process)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 130
    with sqlite3.connect(home / "stenoflow.db") as database:
        states = {state for (state,) in database.execute("SELECT state FROM jobs")}
    assert states <= {"complete", "interrupted"}


@pytest.mark.program
@pytest.mark.parametrize("command", ["metrics", "engine"])
def test_servers_end_when_the_terminal_hangs_up_but_not_under_nohup(command: str, home: Path) -> None:
    for prefix, ends in ([], True), (["nohup"], False):
        process = subprocess.Popen(
            [*prefix, *_PROGRAM, command, "--port", "0"],
            env=_environment(home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        while b"Serving" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        if not ends:
            time.sleep(1)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.program
@pytest.mark.parametrize(
    ("name", "text", "is_refused"),
    [
        (".env", "PREFECT_API_TLS_INSECURE_SKIP_VERIFY=1\n", True),
        ("prefect.toml", '[api]\nkey = "x"\n', True),
        ("pyproject.toml", '[tool.prefect.api]\nkey = "x"\n', True),
        ("prefect.toml", "no toml", True),
        ("pyproject.toml", "[tool.ruff]\nline-length = 90\n", False),
        (".env", "OTHER=1\n", False),
    ],
)
def test_no_file_of_the_folder_becomes_a_setting_of_prefects(
    name: str,
    text: str,
    is_refused: bool,
    api: AudioApiServer,
    meeting: Meeting,
    home: Path,
) -> None:
    (home.parent / name).write_text(text)
    # Nobody answers there; who is not refused goes on without it.
    done = _run(home, "transcribe", meeting.path, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == (2 if is_refused else 0)
    assert (f"{name} in this folder would become settings of Prefect's" in done.stderr.decode()) is is_refused
    assert len(api.calls) == (0 if is_refused else 1)


def test_what_lies_in_the_folder_is_not_imported_by_flow_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a drop folder, from which somebody runs `serve`; Prefect starts each flow run so.
    Path("json.py").write_text("open('imported', 'w').close()\n")
    with monkeypatch.context() as environment:
        environment.setattr(os, "environ", dict(os.environ))
        surround(home)
        given = dict(os.environ)
    subprocess.run([sys.executable, "-m", "json.tool"], input=b"{}", env=given, check=True)
    assert not Path("imported").exists()
