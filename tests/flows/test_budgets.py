"""Budgets from the settings and the command line: refused before anything is spent, or kept to midway."""

from __future__ import annotations

import shutil
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Command, Meeting, charges, write_settings
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, Fields, seconds_of

# Four minutes at the list price.
PRICE = "0.024"


def settings(text: str) -> None:
    write_settings(text)


@pytest.fixture
def council(meeting: Meeting, tmp_path: Path) -> Path:
    """The same meeting with another sound, by a byte that no decoder reads."""
    path = tmp_path / "council.mp3"
    path.write_bytes(meeting.path.read_bytes() + b"\0")
    return path


@pytest.mark.program
def test_a_month_without_room_is_known_before_anything_is_spent(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, council: Path
) -> None:
    settings("[budgets]\nmonth = 0.03")
    assert stenoflow("transcribe", meeting.path, "--json").line["cost"] == "0.0240"
    printed = stenoflow("transcribe", council, "--json")
    assert (printed.exit_code, printed.line["status"], len(api.calls)) == (4, "refused", 1)
    assert printed.line["error"]["kind"] == "budget"
    assert "[budgets]" in printed.line["error"]["message"]
    shown = stenoflow("costs", "--by", "tag").err
    assert "0.0240 of 0.0300 USD" in shown
    settings("[budgets]\nmonth = 0.05")
    assert stenoflow("resume", printed.line["job"], "--json").line["status"] == "complete"


@pytest.mark.program
def test_a_tag_has_a_budget_of_its_own(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, council: Path
) -> None:
    settings("[budgets.tags]\nboard = 0.01")
    assert stenoflow("transcribe", meeting.path, "--tag", "board", "--json").exit_code == 4
    assert api.calls == []
    assert stenoflow("transcribe", council, "--tag", "council", "--json").exit_code == 0


@pytest.mark.program
def test_a_budget_is_for_all_that_one_command_does(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, council: Path
) -> None:
    printed = stenoflow("transcribe", meeting.path, council, "--budget", "0.03", "--json")
    assert printed.exit_code in {3, 4}
    assert "complete" in {line["status"] for line in printed.lines}
    assert sum(float(line["cost"]) for line in printed.lines) <= 0.03
    assert len(api.calls) == 1


def test_a_budget_of_the_settings_gives_way_to_that_of_the_command(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    settings("[budgets]\nrun = 0.01")
    assert stenoflow("transcribe", meeting.path, "--json").exit_code == 4
    assert api.calls == []
    assert stenoflow("transcribe", meeting.path, "--budget", PRICE, "--json").exit_code == 0


# A minute is charged as 100 s: four calls are 12,336 micro-USD at most, their sum by itself 7,400.
LEAST = (
    '[prices.openai."whisper-1"]\namount = "0.111"\nper = "hour"\nleast = 100000\nsource = "x"\ndate = "y"\n'
)


@pytest.mark.program
def test_a_minimum_a_call_is_estimated_and_checked_for_each_call(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting
) -> None:
    settings(LEAST)
    short = (meeting.path, "--segment-seconds", "60", "--json")
    assert stenoflow("estimate", *short).line["cost"] == "0.012336"
    refused = stenoflow("transcribe", *short, "--budget", "0.0123")
    assert (refused.exit_code, refused.line["status"], api.calls) == (4, "refused", [])
    line = stenoflow("transcribe", *short, "--budget", "0.0124").line
    assert (line["status"], line["cost"]) == ("complete", "0.012332")


def test_a_cap_is_not_passed_by_whole_seconds(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    def counted(sound: bytes, _fields: Fields) -> dict[str, Any]:
        seconds = ceil(round(seconds_of(sound), 1))
        return {**recognise(sound), "usage": {"type": "duration", "seconds": seconds}}

    api.recogniser = counted
    # Of three segments of 80 s and a bit, each may be counted as 81 s.
    settings("[budgets]\nmonth = 0.0240")
    odd = ("--segment-seconds", "79", "--json")
    stenoflow("transcribe", meeting.path, *odd)
    assert sum(amount for _, amount in charges(home)) <= 24_000


@pytest.mark.program
@pytest.mark.parametrize("seconds", [0, -1, 999_999_999, 10**30, "NaN", None, float("nan")])
def test_a_count_that_cannot_be_costs_what_was_sent_and_is_told(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path, seconds: object
) -> None:
    api.recogniser = lambda sound, _: {
        **recognise(sound),
        "usage": {"type": "duration", "seconds": seconds},
    }
    printed = stenoflow("transcribe", meeting.path, "--json")
    assert (printed.exit_code, printed.line["cost"], len(api.calls)) == (0, "0.0240", 1)
    assert charges(home)[-1] == ("actual", 24_000)
    assert "the API's own count cannot be" in " ".join(printed.err.split())
    shown = stenoflow("show", printed.line["job"], "--json").line
    assert "the API's own count cannot be" in shown["charges"][-1]["price"]


@pytest.mark.program
def test_what_is_stored_already_fits_into_any_budget(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    stenoflow("transcribe", meeting.path, "--json")
    renamed = tmp_path / "renamed.mp3"
    shutil.copy(meeting.path, renamed)
    line = stenoflow("transcribe", renamed, "--budget", "0", "--json").line
    assert (line["status"], line["calls"], line["cost"]) == ("complete", 0, "0.0000")
    assert len(api.calls) == 1


@pytest.mark.parametrize("text", ["[budgets]\nmonth = -1", "[budgets]\nweek = 5", '[budgets]\nrun = "much"'])
def test_a_budget_that_cannot_be_used_is_said(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, text: str
) -> None:
    settings(text)
    printed = stenoflow("transcribe", meeting.path, "--json")
    assert printed.exit_code == 2
    assert "[budgets." in printed.err
    assert api.calls == []


def test_a_tag_of_any_length_is_no_name(stenoflow: Command, meeting: Meeting) -> None:
    assert stenoflow("transcribe", meeting.path, "--tag", "x" * 201).exit_code == 2
