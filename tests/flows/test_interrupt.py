"""Stopping the program: nothing is lost, nothing is bought again, and it says how to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.conftest import Command, Meeting
from tests.servers.audio_api import AudioApiServer

_DEADLINE_S = 120
_ARGUMENTS = ("--segment-seconds", "60", "--concurrency", "2", "--json")


@contextmanager
def _running(meeting: Meeting, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from flows.cli import main; main()", "transcribe", str(meeting.path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [*command, *_ARGUMENTS],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.05)


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    direct = [
        int(child) for task in children.parents[1].glob("*/children") for child in task.read_text().split()
    ]
    return direct + [further for child in direct for further in _descendants(child)]


def _wait_until_gone(pids: list[int]) -> None:
    assert pids, "Prefect's server is one of them"
    deadline = time.monotonic() + _DEADLINE_S
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "processes are left behind"
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_replies_in_flight_are_kept_and_resume_goes_on(
    number: signal.Signals, stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.delay_s = 1.0
    with _running(meeting, tmp_path) as process:
        _wait_for(lambda: len(api.calls) >= 1, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=_DEADLINE_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    line = json.loads(out)
    assert line["error"]["kind"] == "interrupted"
    assert f"stenoflow resume {line['job']}" in line["error"]["message"]
    bought = len(api.calls)
    assert bought < 4
    assert line["calls"] == bought

    api.delay_s = 0.0
    resumed = stenoflow("resume", line["job"], "--json").line
    assert resumed["status"] == "complete"
    assert (resumed["calls"], resumed["reused"]) == (4 - bought, bought)
    assert len(api.calls) == 4
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    assert (shown["cost"], shown["possible_cost"]) == ("0.0240", "0.0000")


def test_a_killed_run_buys_again_at_most_what_was_in_flight(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    api.delay_s = 1.5
    with _running(meeting, tmp_path) as process:
        _wait_for(lambda: len(api.calls) >= 3, process)
        started = _descendants(process.pid)
        process.kill()
        process.wait()
    _wait_until_gone(started)
    api.delay_s = 0.0
    before = len(api.calls)
    line = stenoflow("transcribe", meeting.path, *_ARGUMENTS).line
    assert line["status"] == "complete"
    assert len(api.calls) <= 4 + 2
    shown = json.loads(stenoflow("show", line["job"], "--json").out)
    billed = sum(round(call.seconds * 100) for call in api.calls)
    recorded = sum(float(shown[name]) for name in ("cost", "possible_cost"))
    assert recorded * 1_000_000 == pytest.approx(billed, rel=0.01)
    assert before >= 3
    assert stenoflow("transcribe", meeting.path, *_ARGUMENTS).line["calls"] == 0
