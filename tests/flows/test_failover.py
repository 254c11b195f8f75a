"""One provider stands in where another falls: nothing is lost, and nothing is bought twice."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stenoflow.tasks.api.errors import BillingStoppedError, SegmentRefusedError, UnknownOutcomeError
from stenoflow.tasks.calls.failover import Breaker
from tests.flows.conftest import Command, Meeting, read_artifact
from tests.instrument.recogniser import recognise
from tests.servers.audio_api import AudioApiServer, audio_api_server

_ASKED = ("--providers", "127.0.0.1,spare", "--segment-seconds", "20", "--json")


@pytest.fixture
def spare(home: Path) -> Iterator[AudioApiServer]:
    with audio_api_server(lambda sound, _: recognise(sound)) as server:
        home.mkdir(exist_ok=True)
        (home / "stenoflow.toml").write_text(f'[providers.spare]\nbase_url = "{server.base_url}"\n', "utf-8")
        yield server


def _charges(home: Path) -> Counter[tuple[str, str]]:
    with sqlite3.connect(home / "stenoflow.db") as database:
        rows = database.execute(
            "SELECT provider, kind, quantity FROM charges WHERE kind IN ('actual', 'possible')"
        )
        sums: Counter[tuple[str, str]] = Counter()
        for provider, kind, quantity in rows:
            sums[provider, kind] += quantity
        return sums


def _said(line: dict[str, object]) -> list[str]:
    return str(json.loads(read_artifact(line, "json"))["text"]).split()


def test_an_outage_midway_loses_nothing_and_buys_nothing_twice(
    stenoflow: Command, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting, home: Path
) -> None:
    api.script(["ok", "ok", "ok"])
    api.mode = "402"
    line = stenoflow("transcribe", meeting.path, *_ASKED, "--concurrency", "1").line
    assert (line["status"], line["missing"]) == ("complete", [])
    assert _said(line) == [word.text for word in meeting.words]

    assert sum(call.charged for call in api.calls) == 3
    # The broken one was asked once more and then left alone.
    assert len(api.calls) == 4
    assert sum(call.charged for call in spare.calls) == len(spare.calls) == line["segments"] - 3
    heard = [call.sha256 for call in (*api.calls, *spare.calls) if call.charged]
    assert len(heard) == len(set(heard)) == line["segments"]

    booked = _charges(home)
    assert set(booked) == {("127.0.0.1", "actual"), ("spare", "actual")}
    for server, name in ((api, "127.0.0.1"), (spare, "spare")):
        assert booked[name, "actual"] == pytest.approx(
            server.billed_seconds * 1_000, abs=100 * len(server.calls)
        )
    folder = Path(line["artifacts"]["txt"].removeprefix("file://")).parent
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    by = Counter(each["provider"] for each in manifest["segments"] if each["state"] == "done")
    assert by == {"127.0.0.1": 3, "spare": line["segments"] - 3}

    again = stenoflow("transcribe", meeting.path, *_ASKED).line
    assert (again["job"], again["calls"]) == (line["job"], 0)


@pytest.mark.parametrize("mode", ["400", "429-insufficient_quota", "500"])
def test_what_one_cannot_do_goes_to_the_next(
    stenoflow: Command, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting, home: Path, mode: str
) -> None:
    api.mode = mode
    line = stenoflow("transcribe", meeting.path, *_ASKED).line
    assert line["status"] == "complete"
    assert len(spare.calls) == line["segments"]
    lost = _charges(home)["127.0.0.1", "possible"]
    assert (lost > 0) == (mode == "500")


def test_what_a_provider_answered_before_is_not_bought_of_another(
    stenoflow: Command, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting
) -> None:
    alone = stenoflow("transcribe", meeting.path, "--segment-seconds", "20", "--json").line
    bought = len(api.calls)
    line = stenoflow("transcribe", meeting.path, *_ASKED).line
    assert (line["status"], line["calls"]) == ("complete", 0)
    assert line["job"] != alone["job"]
    assert (len(api.calls), len(spare.calls)) == (bought, 0)


@pytest.mark.usefixtures("api", "spare")
def test_where_all_fail_the_job_says_so_and_resume_asks_again(
    stenoflow: Command, api: AudioApiServer, spare: AudioApiServer, meeting: Meeting
) -> None:
    api.mode = spare.mode = "402"
    failed = stenoflow("transcribe", meeting.path, *_ASKED)
    assert (failed.exit_code, failed.line["status"]) == (3, "failed")
    spare.mode = "ok"
    resumed = stenoflow("resume", failed.line["job"], "--json").line
    assert resumed["status"] == "complete", stenoflow("show", failed.line["job"], "--json").out


@pytest.mark.parametrize("said", ["127.0.0.1", "127.0.0.1,nobody", "spare,spare"])
@pytest.mark.usefixtures("api", "spare")
def test_a_list_that_makes_no_sense_is_refused(stenoflow: Command, meeting: Meeting, said: str) -> None:
    assert stenoflow("transcribe", meeting.path, "--providers", said).exit_code == 2


def test_a_broken_provider_is_left_alone_for_a_while_and_tried_again() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    breaker.failed("openai", SegmentRefusedError("this segment"))
    assert breaker.lets("openai")
    for _ in range(2):
        breaker.failed("openai", UnknownOutcomeError("no answer"))
    assert breaker.lets("openai")
    breaker.failed("openai", UnknownOutcomeError("no answer"))
    assert not breaker.lets("openai")
    assert breaker.lets("groq")
    now[0] = 60.0
    assert breaker.lets("openai")
    breaker.failed("openai", BillingStoppedError("no credit"))
    assert not breaker.lets("openai")
    breaker.worked("openai")
    assert breaker.lets("openai")
