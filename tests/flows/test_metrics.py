"""`stenoflow metrics`, printed and served, after a run."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.flows.conftest import Command, Meeting, write_settings
from tests.flows.processes import command
from tests.servers.audio_api import AudioApiServer
from tests.waiting import FOREVER

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"


def values(text: str) -> dict[str, float]:
    """Return the samples' sums by name."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with command(["metrics", "--port", "0", *options], folder) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while "Serving: " not in (line := process.stderr.readline()):
            assert line, lines
            lines.append(line)
        yield process, line.split()[-1]


def test_what_a_run_did_is_printed(stenoflow: Command, api: AudioApiServer, meeting: Meeting) -> None:
    stenoflow("transcribe", meeting.path, "--tag", "board", "--json")
    write_settings("[budgets]\nmonth = 5\ntags = { board = 1 }")
    printed = stenoflow("metrics", "--once")
    assert (printed.exit_code, printed.err) == (0, "")
    told = values(printed.out)
    assert told["stenoflow_database_up"] == 1
    assert told["stenoflow_calls_begun_total"] == len(api.calls) == 1
    assert told["stenoflow_spend_total"] == 0.024
    assert told["stenoflow_transcribed_audio_seconds_total"] == pytest.approx(240, abs=1)
    assert told["stenoflow_budget_limit_usd"] == 6
    assert 'stenoflow_jobs{state="complete"} 1.0' in printed.out
    assert 'tag="board"' in printed.out
    assert "meeting" not in printed.out


def test_a_home_without_anything_has_nothing(stenoflow: Command) -> None:
    told = values(stenoflow("metrics", "--once").out)
    assert told["stenoflow_database_up"] == 1
    assert told["stenoflow_recordings"] == 0


def test_a_database_that_is_away_is_a_metric(stenoflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_DATABASE_URL", NOWHERE)
    printed = stenoflow("metrics", "--once")
    assert printed.exit_code == 0
    assert values(printed.out) == {"stenoflow_database_up": 0}
    assert "127.0.0.1" in printed.err


@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_they_are_served_until_a_signal(home: Path, number: signal.Signals) -> None:
    with serving(home.parent) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        answer = httpx.get(url, timeout=FOREVER)
        assert answer.headers["content-type"].startswith("text/plain")
        assert values(answer.text)["stenoflow_database_up"] == 1
        process.send_signal(number)
        assert process.wait() == 0


def test_they_are_served_while_the_database_is_away(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_DATABASE_URL", NOWHERE)
    with serving(home.parent) as (process, url):
        for _ in range(2):
            assert values(httpx.get(url, timeout=FOREVER).text) == {"stenoflow_database_up": 0}
        assert process.poll() is None


def test_an_address_for_everyone_asks_for_a_key(
    stenoflow: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("0.0.0.0", "::", "example.com", "192.0.2.1"):  # noqa: S104 - it is refused
        printed = stenoflow("metrics", "--host", host)
        assert printed.exit_code == 2
        assert "STENOFLOW_METRICS_KEY" in printed.err
    monkeypatch.setenv("STENOFLOW_METRICS_KEY", "geheim")
    monkeypatch.setenv("STENOFLOW_HOSTS", '["Metrics.example"]')
    with serving(home.parent, "--host", "0.0.0.0") as (_, url):  # noqa: S104 - for a moment
        own = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        named = {"Host": "metrics.example"}
        assert httpx.get(own, timeout=FOREVER).status_code == 401
        with_key = {"Authorization": "Bearer geheim"}
        assert httpx.get(own, headers=with_key, timeout=FOREVER).status_code == 200
        assert httpx.get(own, headers=with_key | named, timeout=FOREVER).status_code == 200


def test_other_names_and_other_pages_are_refused(home: Path) -> None:
    with serving(home.parent) as (_, url):
        for headers in (
            {"Host": "evil.example"},
            {"Host": "192.0.2.1"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
        ):
            assert httpx.get(url, headers=headers, timeout=FOREVER).status_code == 403
        posted = httpx.post(url, content="x", headers={"Content-Type": "text/plain"}, timeout=FOREVER)
        assert posted.status_code == 405


def test_with_a_key_others_may_scrape(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENOFLOW_METRICS_KEY", "secret")
    with serving(home.parent, "--host", "0.0.0.0") as (_, url):  # noqa: S104 - for a moment
        own = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        for given, status in (("Bearer secret", 200), ("Bearer x", 401), ("secret", 401)):
            answer = httpx.get(own, headers={"Authorization": given}, timeout=FOREVER)
            assert answer.status_code == status


def test_a_port_that_is_taken_is_said(stenoflow: Command, home: Path) -> None:
    with serving(home.parent) as (_, url):
        port = httpx.URL(url).port
        printed = stenoflow("metrics", "--port", str(port))
    assert printed.exit_code == 2
    assert str(port) in printed.err
