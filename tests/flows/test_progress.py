"""What is shown while a command runs."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from stenoflow.flows.cli import console as cli_console
from stenoflow.flows.cli import progress
from stenoflow.tasks.context import open_context
from stenoflow.tasks.settings import load_settings
from tests.flows.conftest import Command, Meeting
from tests.flows.test_holes import Deaf
from tests.servers.audio_api import AudioApiServer


@pytest.mark.slow
def test_a_terminal_of_80_columns_shows_all_and_what_is_waited_for(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, highlight=False, soft_wrap=True)
    monkeypatch.setattr(progress, "messages", console)
    monkeypatch.setattr(cli_console, "messages", console)
    api.delay_s = 8
    assert stenoflow("transcribe", meeting.path, "--segment-seconds", "60").exit_code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", plain).splitlines()
    assert max(map(cell_len, lines)) <= 80
    bars = [line for line in lines if "weekly meeting.mp3" in line]
    assert "4/4 segments" in bars[-1]
    assert re.search(r"\d+\.\dx +0\.0240 USD", bars[-1])
    assert any("waiting for the API: a call is without an answer for " in line for line in lines)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("reason", ["waiting: the API has refused calls for 6 s", "waiting for the API: 6 s"])
def test_a_wait_is_said_before_the_next_line_is_due(
    reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_WAIT_S", 0.05)
    with open_context(load_settings()) as context, progress.ProgressDisplay(context, lambda _: None) as shown:
        shown.opened("talk.mp3", "no such job", 60_000, "segment")
        shown.explain_waits_by(lambda: reason)
        said = ""
        while reason not in said:
            time.sleep(0.05)
            said += capsys.readouterr().err
    assert "segments" not in said


@pytest.mark.slow
def test_an_api_that_refuses_calls_is_said_elsewhere_than_on_a_terminal_too(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_LINE_S", 0.5)
    api.script(["429-retry-after"] * 8)
    printed = stenoflow("transcribe", meeting.path)
    assert printed.exit_code == 0
    assert re.search(r"waiting: the API (takes no|has refused) calls for ", printed.err)


@pytest.mark.program
def test_gaps_that_are_asked_for_again_are_said(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_WAIT_S", 0.05)
    api.recogniser, api.delay_s = Deaf(1), 0.5
    printed = stenoflow("transcribe", meeting.path, "--segment-seconds", "300")
    assert printed.exit_code == 0
    assert "asking again for 1 segment that lacks words" in printed.err.splitlines()


@pytest.mark.usefixtures("home")
def test_a_wait_that_lasts_is_said_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_WAIT_S", 0.05)
    monkeypatch.setattr(progress, "_SAID_AGAIN_S", 0.2)
    with open_context(load_settings()) as context, progress.ProgressDisplay(context, lambda _: None) as shown:
        shown.waiting("talk.mp3: another run is at work on it; waiting for its end")
        said = ""
        while said.count("another run is at work on it") < 3:
            time.sleep(0.05)
            said += capsys.readouterr().err
    first, second, *_ = said.splitlines()
    assert not first.endswith("so far)")
    assert second.endswith(" s so far)")


def _bar(stenoflow: Command, monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> str:
    """Run a command on a terminal; returns how its bar ended."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, highlight=False, soft_wrap=True)
    monkeypatch.setattr(progress, "messages", console)
    monkeypatch.setattr(cli_console, "messages", console)
    stenoflow(*arguments)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", plain).splitlines()
    return [line for line in lines if "segments" in line][-1]


@pytest.mark.program
def test_speed_counts_only_what_this_run_has_done(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.script(["ok", "ok", "ok", "400"])
    arguments = (meeting.path, "--segment-seconds", "60", "--concurrency", "1")
    job = stenoflow("transcribe", *arguments, "--json").line["job"]
    api.delay_s = 1
    resumed = _bar(stenoflow, monkeypatch, "resume", job)
    assert "4/4 segments" in resumed
    # One minute in more than a second: with the other three it would be four times as fast.
    assert float(re.search(r"([\d.]+)x", resumed)[1]) < 60  # type: ignore[index]
