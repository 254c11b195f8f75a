"""The whole program in this process: one Prefect server for all tests, a home for each."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stenoflow.flows.cli import main
from stenoflow.flows.prefect_server import temporary_server
from tests.instrument.recogniser import recognise
from tests.instrument.recording import SpokenNumber, script, write
from tests.servers.audio_api import AudioApiServer, audio_api_server


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command did."""

    exit_code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout; there must be nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        """The one JSON line."""
        (line,) = self.lines
        return line


Command = Callable[..., Printed]


@pytest.fixture(scope="session", autouse=True)
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One home of Prefect for the session: its server takes long to start."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        yield


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One server of Prefect's for the session: what of the environment names it, and logs in."""
    names = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")
    with temporary_server(tmp_path_factory.mktemp("served")):
        ours = {name: os.environ.pop(name) for name in names}
        yield ours
        os.environ.update(ours)


@pytest.fixture
def prefect_api(prefect_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Use that server in this process and in those that it starts: where it answers."""
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - takes seconds

    with monkeypatch.context() as environment:
        for name, value in prefect_server.items():
            environment.setenv(name, value)
        refresh_global_settings_context()
        yield prefect_server["PREFECT_API_URL"]
    refresh_global_settings_context()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an empty folder to stand in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def stenoflow(
    home: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command line in this process."""

    def run(*arguments: str | Path) -> Printed:
        if not home.exists():
            home.mkdir(mode=0o700)
            shutil.copy(empty_database, home / "stenoflow.db")
        monkeypatch.setattr("sys.argv", ["stenoflow", *map(str, arguments)])
        capsys.readouterr()
        with monkeypatch.context() as environment:
            if "PREFECT_API_URL" not in os.environ:
                # What other tests have had Prefect do is none of this home's.
                environment.setenv("PREFECT_HOME", str(home / "prefect"))
            with pytest.raises(SystemExit) as ended:
                main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Printed(code if isinstance(code, int) else 0, printed.out, printed.err)

    assert not (home / "stenoflow.db").exists()
    return run


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AudioApiServer]:
    """An API that hears numbers in tones, and that the settings name."""
    with audio_api_server(lambda sound, _fields: recognise(sound)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        yield server


@dataclass(frozen=True, slots=True)
class Meeting:
    """A recording whose every word is known."""

    path: Path
    words: list[SpokenNumber]
    seconds: float


@pytest.fixture(scope="session")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Meeting:
    """Four minutes of numbers, as MP3."""
    words = script(240)
    path = tmp_path_factory.mktemp("meeting") / "weekly meeting.mp3"
    return Meeting(write(path, words, 240, "-b:a", "64k"), words, 240)


def read_artifact(line: dict[str, Any], name: str) -> str:
    """Return an artifact that a line names, of a store that is a folder."""
    return Path(line["artifacts"][name].removeprefix("file://")).read_text("utf-8")


def write_settings(text: str) -> None:
    """Write a home's file of settings."""
    home = Path(os.environ["STENOFLOW_HOME"])
    home.mkdir(exist_ok=True)
    (home / "stenoflow.toml").write_text(text, "utf-8")


def charges(home: Path) -> list[tuple[str, int]]:
    """Return kind and amount of each charge in the embedded database."""
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        return database.execute("SELECT kind, amount_micro FROM charges ORDER BY id").fetchall()
    finally:
        database.close()
