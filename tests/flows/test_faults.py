"""Faults of the API midway: what was obtained is kept, what is missing is said, nothing is paid for twice."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from tests.flows.conftest import Command, Meeting, charges, read_artifact
from tests.instrument.recording import write
from tests.servers.audio_api import AudioApiServer

_ONE_BY_ONE = ("--segment-seconds", "60", "--concurrency", "1", "--json")
_MARK = "[missing 00:0"


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    """Retries do not wait in these tests."""
    with stamina.set_testing(testing=True, attempts=100):
        yield


def _sums(charged: list[tuple[str, int]]) -> dict[str, int]:
    return {kind: sum(amount for each, amount in charged if each == kind) for kind, _ in charged}


@pytest.mark.program
def test_a_segment_that_cannot_be_had_is_missing_in_every_artifact_and_resume_gets_just_that(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["ok", "400"])
    printed = stenoflow("transcribe", meeting.path, *_ONE_BY_ONE)
    line = printed.line
    assert printed.exit_code == 3
    assert line["status"] == "partial"
    assert line["error"]["kind"] == "api-refused"
    assert "400" in line["error"]["message"]
    ((start, end),) = line["missing"]
    assert 40 < end - start < 90
    for name in ("txt", "srt", "vtt", "json", "html"):
        assert _MARK in read_artifact(line, name)
    document = json.loads(read_artifact(line, "json"))
    said = [word.text for word in meeting.words if not start * 1000 <= word.start_ms < end * 1000]
    assert [word["word"] for word in document["words"]] == said
    assert [each["kind"] for each in document["coverage"]].count("missing") == 1

    calls = len(api.calls)
    resumed = stenoflow("resume", line["job"], "--json")
    assert resumed.exit_code == 0
    assert (resumed.line["status"], resumed.line["calls"], resumed.line["reused"]) == ("complete", 1, 3)
    assert len(api.calls) == calls + 1
    whole = json.loads(read_artifact(resumed.line, "json"))
    assert [word["word"] for word in whole["words"]] == [word.text for word in meeting.words]


@pytest.mark.program
def test_calls_that_may_have_been_charged_are_in_the_ledger(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["reset-after-body", "ok"])
    line = stenoflow("transcribe", meeting.path, "--json").line
    assert (line["status"], line["calls"], line["cost"]) == ("complete", 2, "0.0240")
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert shown["possible_cost"] == shown["cost"] == "0.0240"
    assert [charge["kind"] for charge in shown["charges"]] == [
        "reserve",
        "release",
        "possible",
        "reserve",
        "release",
        "actual",
    ]


@pytest.mark.program
def test_a_refused_key_stops_at_once_and_costs_nothing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.key = "sk-the-right-one"
    printed = stenoflow("transcribe", meeting.path, *_ONE_BY_ONE)
    assert printed.exit_code == 3
    assert printed.line["status"] == "failed"
    assert printed.line["error"]["kind"] == "api-key"
    assert "OPENAI_API_KEY" in printed.line["error"]["message"]
    assert printed.line["artifacts"] == {}
    assert printed.line["cost"] == "0.0000"
    assert "sk-test-0123456789" not in printed.out + printed.err
    assert len(api.calls) == 1
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-right-one")
    assert stenoflow("transcribe", meeting.path, *_ONE_BY_ONE).line["status"] == "complete"


def test_an_api_that_cannot_be_reached_is_said_to_be(
    stenoflow: Command, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    printed = stenoflow("transcribe", meeting.path, *_ONE_BY_ONE)
    assert printed.exit_code == 3
    assert (printed.line["status"], printed.line["cost"], printed.line["calls"]) == ("failed", "0.0000", 0)
    assert printed.line["error"]["kind"] == "api-unreachable"
    assert f"127.0.0.1:{port}" in printed.line["error"]["message"]
    assert "Traceback" not in printed.err


@pytest.mark.program
def test_waiting_for_a_rate_limit_is_no_failure(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["429-retry-after-zero", "429-retry-after-ms", "ok"])
    line = stenoflow("transcribe", meeting.path, "--json").line
    assert (line["status"], line["cost"]) == ("complete", "0.0240")


@pytest.mark.program
def test_a_budget_reached_midway_keeps_what_is_done(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    api.script(["ok", "reset-after-body"])
    printed = stenoflow("transcribe", meeting.path, *_ONE_BY_ONE, "--budget", "0.025")
    assert printed.exit_code == 3
    assert printed.line["status"] == "partial"
    assert "budget" in printed.line["error"]["message"]
    assert _MARK in read_artifact(printed.line, "txt")
    shown = json.loads(stenoflow("show", printed.line["job"], "--json").out)
    assert float(shown["cost"]) + float(shown["possible_cost"]) <= 0.025
    resumed = stenoflow("resume", printed.line["job"], "--budget", "1", "--json").line
    assert resumed["status"] == "complete"


def test_a_recording_cut_short_says_how_much_is_missing(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    whole = write(tmp_path / "whole.wav", meeting.words, meeting.seconds)
    cut = whole.with_name("cut short.wav")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    printed = stenoflow("transcribe", cut, "--json")
    assert printed.exit_code == 3
    assert printed.line["status"] == "partial"
    ((start, end),) = printed.line["missing"]
    assert (start, end) == pytest.approx((180, 240), abs=0.5)
    assert "[missing 00:0" in read_artifact(printed.line, "srt")
    said = [word.text for word in meeting.words if word.start_ms + 250 < 180_000]
    assert [word for word in read_artifact(printed.line, "txt").split() if word.isdigit()][
        : len(said)
    ] == said
    assert len(api.calls) == 1


def test_charges_never_name_the_recording(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    stenoflow("transcribe", meeting.path, "--json")
    assert api.calls
    assert _sums(charges(home)) == {"reserve": 24_000, "release": -24_000, "actual": 24_000}
