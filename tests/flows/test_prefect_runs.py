"""With a server of Prefect's and without: the same work, to the same bytes; Prefect decides about nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Meeting
from tests.flows.processes import command
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer

pytestmark = pytest.mark.usefixtures("home")
_SHORT = ("--segment-seconds", "60", "--json")


def _run(arguments: list[str], folder: Path, prefect: str | None = None) -> tuple[list[dict[str, Any]], str]:
    """Run a command to its end; returns its JSON lines, and what it said."""
    with command(arguments, folder, prefect=prefect) as process:
        out, err = process.communicate()
    return [json.loads(line) for line in out.splitlines()], err


def _published(line: dict[str, Any]) -> dict[str, bytes]:
    return {name: Path(uri.removeprefix("file://")).read_bytes() for name, uri in line["artifacts"].items()}


def _states(name: str, api_url: str) -> list[tuple[str, str]]:
    """Return what Prefect knows of a flow run and its task runs."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from stenoflow.flows.prefect_runs import states_of

    with temporary_settings({PREFECT_API_URL: api_url}):
        return asyncio.run(states_of(name))


@pytest.mark.program
def test_a_command_does_the_same_with_a_server_and_without(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["transcribe", str(meeting.path), *_SHORT]
    (plain,), _ = _run(arguments, tmp_path)
    monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path / "another"))
    (seen,), _ = _run(arguments, tmp_path, prefect_api)
    assert len(api.calls) == 2 * plain["segments"] == 8
    assert _published(seen) == _published(plain)
    assert seen | {"artifacts": None} == plain | {"artifacts": None}
    flow_run, *task_runs = _states(meeting.path.name, prefect_api)
    assert flow_run == (meeting.path.name, "Completed")
    assert sorted(task_runs) == [(f"{meeting.path.name} · segment {n}", "Completed") for n in range(4)]


@pytest.mark.program
@pytest.mark.parametrize("given", [("transcribe",), ("ingest", "--interval", "1")])
def test_many_recordings_are_one_flow_run_with_a_task_run_each(
    api: AudioApiServer, tmp_path: Path, prefect_api: str, given: tuple[str, ...]
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    first = write(tmp_path / "short.wav", script(6), 6)
    for number in range(10):
        shutil.copy(first, folder / f"{number}.wav")
    lines, _ = _run([*given, str(folder), "--json"], tmp_path, prefect_api)
    assert [line["status"] for line in lines] == ["complete"] * 10
    assert len(api.calls) == 1, "they are the same sound"
    flow_run, *task_runs = _states("10 recordings", prefect_api)
    assert flow_run == ("10 recordings", "Completed")
    named = [(f"{Path(line['source']).name} · {line['job']}", "Completed") for line in lines]
    assert sorted(task_runs) == sorted(named)

    # Their names tell of the recording, and of the job: with it they are forgotten.
    _run(["forget", lines[0]["source"], "--yes", "--json"], tmp_path, prefect_api)
    assert sorted(_states("10 recordings", prefect_api)[1:]) == sorted(named[1:])


@pytest.mark.program
def test_a_server_that_cannot_be_reached_is_said_and_done_without(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
    (line,), said = _run(["transcribe", str(meeting.path), *_SHORT], tmp_path, address)
    assert (line["status"], line["calls"]) == ("complete", 4)
    assert len(api.calls) == 4
    assert "going on without Prefect" in said


@contextmanager
def _overloaded() -> Iterator[str]:
    """Serve what says that it is well, and answers 503 to all else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200 if self.path.endswith("/hello") else 503)

        def do_POST(self) -> None:
            self._answer(503)

        def _answer(self, status: int) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
        server.shutdown()


@pytest.mark.program
def test_a_server_that_is_overloaded_decides_about_nothing(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "1")
    monkeypatch.setenv("PREFECT_CLIENT_RETRY_EXTRA_CODES", "503")
    with _overloaded() as address:
        (line,), _ = _run(["transcribe", str(meeting.path), *_SHORT], tmp_path, address)
    assert (line["status"], line["calls"]) == ("complete", 4)
    assert len(api.calls) == 4


def test_without_a_server_prefect_is_not_imported(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del api
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    _, said = _run(["transcribe", str(meeting.path), *_SHORT], tmp_path)
    assert "stenoflow.flows.transcribe" in said
    assert " prefect\n" not in said
    assert not (Path(os.environ["STENOFLOW_HOME"]) / "prefect").exists()
