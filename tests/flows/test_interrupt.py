"""Stopping the program: nothing is lost, nothing is bought again, and it says how to go on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting
from tests.flows.held import IN_FLIGHT, Held
from tests.flows.processes import (
    ARGUMENTS,
    SEGMENTS,
    command,
    descendants,
    is_in_prefects_database,
    running,
    wait_for,
    wait_until_gone,
)
from tests.servers.audio_api import AudioApiServer


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_replies_in_flight_are_kept_and_resume_goes_on(
    number: signal.Signals,
    stenoflow: Command,
    api: AudioApiServer,
    meeting: Meeting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What is in flight is seen through, however busy the machine.
    monkeypatch.setenv("STENOFLOW_GRACE_S", "600")
    api.recogniser = held = Held(after=1)
    with running(meeting, tmp_path) as process:
        wait_for(lambda: held.waiting == IN_FLIGHT, process)
        process.send_signal(number)
        assert process.stderr is not None
        assert any("Stopping" in line for line in iter(process.stderr.readline, ""))
        held.release()
        out, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    line = json.loads(out)
    assert line["error"]["kind"] == "interrupted"
    assert f"stenoflow resume {line['job']}" in line["error"]["message"]
    bought = len(api.calls)
    assert line["calls"] == bought == 1 + IN_FLIGHT

    resumed = stenoflow("resume", line["job"], "--json").line
    assert resumed["status"] == "complete", resumed
    assert (resumed["calls"], resumed["reused"]) == (SEGMENTS - bought, bought)
    assert len(api.calls) == SEGMENTS
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert (shown["cost"], shown["possible_cost"]) == ("0.0240", "0.0000")


@pytest.mark.slow
def test_a_killed_run_buys_again_at_most_what_was_in_flight(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.recogniser = held = Held(after=3)
    with running(meeting, tmp_path) as process:
        wait_for(lambda: held.waiting == IN_FLIGHT, process)
        started = descendants(process.pid)
        process.kill()
        process.wait()
    wait_until_gone(started)
    before = len(api.calls)
    held.release()
    line = stenoflow("transcribe", meeting.path, *ARGUMENTS).line
    assert line["status"] == "complete"
    assert len(api.calls) <= SEGMENTS + 2
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    billed = sum(round(call.seconds * 100) for call in api.calls)
    recorded = sum(float(shown[name]) for name in ("cost", "possible_cost"))
    # What was stored as sent and never left may have been charged, for all that can be known.
    in_flight = 2 * max(round(call.seconds * 100) for call in api.calls)
    assert 0.99 * billed < recorded * 1_000_000 < 1.01 * (billed + in_flight)
    assert before == 3
    assert stenoflow("transcribe", meeting.path, *ARGUMENTS).line["calls"] == 0


@pytest.mark.slow
def test_a_job_comes_to_its_end_though_prefects_server_is_lost(
    api: AudioApiServer, meeting: Meeting, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "1")
    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    api.recogniser = held = Held(after=2)
    with command(["serve", "--port", "0"], tmp_path) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("http")
        with running(meeting, tmp_path) as process:
            wait_for(lambda: held.waiting == IN_FLIGHT, process)
            assert is_in_prefects_database(meeting.path.name)
            for pid in [*descendants(serving.pid), serving.pid]:
                os.kill(pid, signal.SIGKILL)
            held.release()
            assert process.stdout is not None
            # Not waited for to its end: Prefect, at the exit, tries for a minute to reach the server.
            assert json.loads(process.stdout.readline())["status"] == "complete"
    assert len(api.calls) == SEGMENTS
