"""The whole program with a receiver: what it is told, and that nothing waits for it or leaks to it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stamina

from stenoflow.flows import notifications
from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer
from tests.servers.audio_api_modes import MODES, Mode, refuse
from tests.servers.webhook import SECRET, WebhookServer, webhook_server

KEY = "sk-test-0123456789"
PRESIGNED = "https://bucket.example/meeting.mp3?X-Amz-Signature=presigned-canary"
_ONE_BY_ONE = ("--segment-seconds", "60", "--concurrency", "1", "--json")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    with webhook_server() as server:
        monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", server.url)
        monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", SECRET)
        yield server


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    """Retries do not wait in these tests."""
    with stamina.set_testing(testing=True, attempts=3):
        yield


@pytest.mark.program
@pytest.mark.usefixtures("api")
def test_a_recording_that_is_complete_is_told(
    stenoflow: Command, receiver: WebhookServer, meeting: Meeting
) -> None:
    receiver.script(["500", "500"])
    line = stenoflow("transcribe", meeting.path, "--json").line
    assert line["status"] == "complete"
    (told,) = receiver.taken
    assert told.signed
    assert told.event["type"] == "recording.complete"
    data = told.event["data"]
    for name in ("job", "recording", "source", "status", "cost", "currency", "calls", "artifacts", "error"):
        assert data[name] == line[name], name
    assert len({each.id for each in receiver.deliveries}) == 1


def test_failures_speak(
    stenoflow: Command, api: AudioApiServer, receiver: WebhookServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.script(["ok", "400"])
    assert stenoflow("transcribe", meeting.path, *_ONE_BY_ONE).line["status"] == "partial"
    (tmp_path / "notes.mp3").write_text("no sound", "utf-8")
    assert stenoflow("transcribe", tmp_path / "notes.mp3", "--json").line["status"] == "refused"
    assert receiver.types() == ["recording.partial", "recording.refused"]
    assert receiver.taken[0].event["data"]["error"]["kind"] == "api-refused"
    assert receiver.taken[0].event["data"]["missing"]


@pytest.mark.usefixtures("api")
def test_a_budget_that_is_reached_is_told_once_a_run(
    stenoflow: Command, receiver: WebhookServer, meeting: Meeting, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp3"
    other.write_bytes(meeting.path.read_bytes() + b"\0")
    stenoflow("transcribe", meeting.path, other, "--budget", "0.001", "--json")
    assert sorted(receiver.types()) == ["budget.reached", "recording.refused", "recording.refused"]


@pytest.mark.program
def test_a_provider_that_stopped_is_told_once_a_run(
    stenoflow: Command, api: AudioApiServer, receiver: WebhookServer, meeting: Meeting, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp3"
    other.write_bytes(meeting.path.read_bytes() + b"\0")
    api.key = "another"
    stenoflow("transcribe", meeting.path, other, "--json")
    assert sorted(receiver.types()) == ["provider.stopped", "recording.failed", "recording.failed"]


@pytest.mark.program
@pytest.mark.parametrize(("days", "told"), [(10, 1), (90, 0)])
def test_a_model_that_is_to_be_shut_down_is_told_once_a_run(
    stenoflow: Command,
    api: AudioApiServer,
    receiver: WebhookServer,
    meeting: Meeting,
    tmp_path: Path,
    days: int,
    told: int,
) -> None:
    shutdown = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    api.models = [{"id": "whisper-1", "object": "model", "shutdown_date": shutdown}]
    other = tmp_path / "other.mp3"
    other.write_bytes(meeting.path.read_bytes() + b"\0")
    stenoflow("transcribe", meeting.path, other, "--json")
    assert receiver.types().count("model.retiring") == told
    assert len(receiver.taken) == 2 + told


@pytest.mark.program
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("fault", ["hang", "404", "410", "302"])
def test_a_receiver_that_does_not_take_it_changes_nothing_but_stderr(
    stenoflow: Command,
    receiver: WebhookServer,
    meeting: Meeting,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(notifications, "_TIMEOUT_S", 0.5)
    receiver.mode = fault
    printed = stenoflow("transcribe", meeting.path, "--json")
    assert (printed.exit_code, printed.line["status"]) == (0, "complete")
    assert receiver.taken == []
    assert "event not delivered: recording.complete" in printed.err
    assert "canary" not in printed.err


def test_without_a_receiver_nobody_asks_for_models(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    assert stenoflow("transcribe", meeting.path, "--model", "whisper-1", "--json").exit_code == 0
    assert api.connections == 1


@pytest.mark.program
def test_where_nobody_names_a_model_the_provider_is_asked_before_a_new_job_alone(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.models = [{"id": "gpt-transcribe", "object": "model"}]
    line = stenoflow("transcribe", meeting.path, "--json").line
    assert line["status"] == "complete"
    assert {call.values("model")[0] for call in api.calls} == {"gpt-transcribe"}
    reached = api.connections
    assert stenoflow("transcribe", meeting.path, "--json").line["job"] == line["job"]
    assert api.connections == reached


@pytest.mark.program
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_no_secret_is_anywhere(receiver: WebhookServer, meeting: Meeting, home: Path, level: str) -> None:
    receiver.script(["500"])
    out, err = _run_logging(level, home.parent, "transcribe", str(meeting.path), PRESIGNED, "--json")
    assert receiver.types() == ["recording.complete"]
    assert f"{level}:" in err, "it logs"
    # What the user named as the source is given back as the source.
    out = out.replace(PRESIGNED, "")
    _check(events=_told(receiver), out=out, err=err, rows=_rows(home))


@pytest.mark.program
def test_no_secret_that_an_answer_repeats_is_told(
    api: AudioApiServer,
    receiver: WebhookServer,
    meeting: Meeting,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaint = Mode(lambda exchange: refuse(exchange, 403, f"{KEY} may not read {PRESIGNED}"))
    monkeypatch.setitem(MODES, "complaint", complaint)
    api.mode = "complaint"
    _run_logging("INFO", home.parent, "transcribe", str(meeting.path), "--json")
    assert receiver.types() == ["recording.failed", "provider.stopped"]
    assert "may not read https://bucket.example/meeting.mp3" in _told(receiver)
    _check(events=_told(receiver))


def _run_logging(level: str, folder: Path, *arguments: str) -> tuple[str, str]:
    """Run the command in a process of its own, with all that is logged on stderr."""
    program = (
        f"import logging; logging.basicConfig(level=logging.{level}); "
        "from stenoflow.flows.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "STENOFLOW_DEBUG": "1"}
    environment.pop("PREFECT_API_URL", None)
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout, ended.stderr


def _told(receiver: WebhookServer) -> str:
    return "".join(f"{each.headers} {each.body.decode()}" for each in receiver.deliveries)


def _rows(home: Path) -> str:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        return "\n".join(database.iterdump())
    finally:
        database.close()


def _check(**places: str) -> None:
    secrets = {SECRET, SECRET.removeprefix("whsec_"), KEY, "query-canary", "path-canary", "presigned-canary"}
    found = [(secret, place) for place, text in places.items() for secret in secrets if secret in text]
    assert found == []


@pytest.mark.program
def test_a_failure_in_an_inbox_is_told_once_until_it_is_another(
    stenoflow: Command, api: AudioApiServer, receiver: WebhookServer, meeting: Meeting, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "talk.mp3").write_bytes(meeting.path.read_bytes())
    look = ("ingest", inbox, "--looks", "1", "--json")
    for cap in ("0.0001", "0.0001", "0.0002"):
        # What the message says is left of it differs.
        assert stenoflow(*look, "--budget", cap).exit_code == 4
    assert receiver.types() == ["recording.refused", "budget.reached"]
    api.key = "another"
    for _ in range(2):
        assert stenoflow(*look).exit_code == 3
    assert receiver.types()[2:] == ["recording.failed", "provider.stopped"]
    api.key = "sk-test-0123456789"
    assert stenoflow(*look).line["status"] == "complete"
    assert receiver.types()[4:] == ["recording.complete"]
