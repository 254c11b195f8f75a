"""Structured logs, and that no secret is in anything that a run leaves behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stenoflow.flows.cli import console
from tests.flows.conftest import Command, Meeting
from tests.flows.test_holes import Deaf
from tests.servers.audio_api import AudioApiServer
from tests.servers.webhook import SECRET, webhook_server


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back what a command changes for its process."""
    root, ours = logging.getLogger(), logging.getLogger("stenoflow")
    before = root.handlers[:], root.level, ours.level
    monkeypatch.setattr(console, "_log", None)
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def test_everything_on_stderr_is_json_with_ids(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["503"])
    arguments = (meeting.path, "--segment-seconds", "60", "--log-format", "json", "--json")
    printed = stenoflow("transcribe", *arguments)
    logged = [json.loads(line) for line in printed.err.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in logged)
    job = printed.line["job"]
    answered = [line for line in logged if line["message"] == "a call was answered"]
    (failed,) = [line for line in logged if line["message"] == "a call failed"]
    assert sorted(line["segment"] for line in answered) == [0, 1, 2, 3]
    assert {line["job"] for line in [*answered, failed]} == {job}
    assert all(line["attempt"] and line["run"] and line["seconds"] >= 0 for line in answered)
    assert failed["error"].startswith("api-")
    own = [line for line in logged if line["logger"] == "stenoflow.cli"]
    assert own
    assert all(line["job"] == job and line["run"] == failed["run"] for line in own)


@pytest.mark.usefixtures("api")
def test_what_a_receiver_did_not_take_is_json_too(
    stenoflow: Command, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook_server(mode="400") as receiver:
        monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", SECRET)
        printed = stenoflow("transcribe", meeting.path, "--log-format", "json", "--json")
    logged = [json.loads(line) for line in printed.err.splitlines()]
    (told,) = [line for line in logged if "event not delivered: recording.complete" in line["message"]]
    assert told["level"] == "warning"


@pytest.mark.program
def test_what_is_asked_for_again_and_what_is_lacking_have_their_ids(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.recogniser = Deaf(3)
    printed = stenoflow(
        "transcribe", meeting.path, "--segment-seconds", "300", "--log-format", "json", "--json"
    )
    logged = [json.loads(line) for line in printed.err.splitlines()]
    again = [line for line in logged if "lacks words; asking again" in line["message"]]
    assert {(line["job"], line["segment"]) for line in again} == {(printed.line["job"], 0)}
    (partial,) = [line for line in logged if line["message"].startswith("partial: ")]
    assert (partial["level"], partial["job"]) == ("warning", printed.line["job"])


def test_what_a_command_is_not_called_with_is_json_too(stenoflow: Command) -> None:
    for arguments in (("--state", "foo"), ("extra",), ("--nosuch",)):
        refused = stenoflow("jobs", *arguments, "--log-format", "json")
        (line,) = [json.loads(line) for line in refused.err.splitlines()]
        assert (refused.exit_code, line["level"], line["error"]) == (2, "error", "settings")
        assert "is not one of" not in line["message"]
        assert "argument(s)" not in line["message"]


def test_errors_are_json_too(stenoflow: Command) -> None:
    refused = stenoflow("show", "nothing", "--log-format", "json")
    (line,) = [json.loads(line) for line in refused.err.splitlines()]
    assert (refused.exit_code, line["level"], line["error"]) == (2, "error", "settings")


_KEY = "sk-proj-geheim0123456789abcdefgh"
_WEBHOOK = "whsec_" + "Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWlt"
_DASHBOARD = "anna:geheimnis-4711"
_IN_URL = "passw0rt-im-pfad"


@pytest.mark.program
@pytest.mark.parametrize("mode", ["401", "400", "html-200", "reset-after-body"])
def test_no_secret_is_in_what_failed_runs_print_store_or_log(
    mode: str,
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", _KEY)
    monkeypatch.setenv("STENOFLOW_WEBHOOK_URL", f"http://127.0.0.1:9/hook/{_IN_URL}")
    monkeypatch.setenv("STENOFLOW_WEBHOOK_SECRET", _WEBHOOK)
    monkeypatch.setenv("STENOFLOW_DASHBOARD_AUTH", _DASHBOARD)
    monkeypatch.setenv("STENOFLOW_DEBUG", "1")
    api.script([mode] * 30)
    texts = []
    for command in (
        ["transcribe", meeting.path, "--json", "--log-format", "json"],
        ["doctor"],
        ["jobs"],
        ["show", "nothing"],
    ):
        printed = stenoflow(*command)
        texts += [printed.out, printed.err]
    assert any(call.authorization == f"Bearer {_KEY}" for call in api.calls)
    everything = "\n".join(texts).encode()
    everything += b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for secret in (_KEY, _WEBHOOK, _DASHBOARD, _DASHBOARD.partition(":")[2], _IN_URL):
        assert secret.encode() not in everything
