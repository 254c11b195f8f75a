"""`stenoflow serve`: dashboard, deployments and runner in one process."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.flows.conftest import Command, Meeting, write_settings
from tests.flows.processes import command, descendants, is_in_prefects_database, wait_for, wait_until_gone
from tests.servers.audio_api import AudioApiServer
from tests.waiting import FOREVER

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def _complete(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "stenoflow.db")) as database:
        found = database.execute(
            "SELECT name FROM recordings JOIN jobs ON recording_id = recordings.id WHERE state = 'complete'"
        )
        return [name for (name,) in found]


def _scheduled(client: SyncPrefectClient) -> set[str]:
    """Return the flows that will be run by themselves."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    scheduled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(state=scheduled))
    return {client.read_flow(flow_id).name for flow_id in {run.flow_id for run in runs}}


def _runs_of(client: SyncPrefectClient, name: str) -> list[str]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    named = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    return [str(run.id) for run in client.read_flow_runs(flow_run_filter=named)]


@pytest.mark.slow
def test_an_inbox_of_the_settings_is_emptied_and_all_ends_with_the_command(
    stenoflow: Command,
    home: Path,
    api: AudioApiServer,
    meeting: Meeting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copy(meeting.path, inbox / "trustees.mp3")
    said = f'[[inboxes]]\nname = "meetings"\naddress = "{inbox}"\nevery = 5\n'
    write_settings(said)
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with httpx.Client(base_url=address, timeout=FOREVER) as http:
            assert "<html" in http.get("/", follow_redirects=True).text
            assert http.get("/api/health").json() is True
            # Where the pages look for the server: wherever they came from.
            assert http.get("/ui-settings").json()["api_url"] == "/api"
            # Without a token, nobody changes anything.
            assert http.post("/api/flow_runs/filter", json={}).status_code == 403
        again = stenoflow("serve", "--port", "0")
        assert again.exit_code == 2
        assert f"already: {address}" in again.err
        wait_for(lambda: _complete(home) == ["trustees.mp3"], process)
        with prefect_client(f"{address}/api") as client:
            wait_for(lambda: {"ingest", "recover", "verify"} <= _scheduled(client), process)
            runs = _runs_of(client, "trustees.mp3")
        (inbox / "trustees.mp3").unlink()
        with command(
            ["forget", (inbox / "trustees.mp3").as_uri(), "--yes", "--json"], tmp_path
        ) as forgetting:
            told, said = forgetting.communicate()
        assert (json.loads(told)["flow_runs"], said) == (len(runs), "")
        wait_for(lambda: not is_in_prefects_database("trustees.mp3"), process)
        started = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait()
        wait_until_gone(started)
    assert len(api.calls) == 1


@pytest.mark.slow
def test_a_run_that_is_cancelled_in_the_dashboard_keeps_what_is_paid(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    from prefect.states import Cancelling

    api.delay_s = 3.0
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with prefect_client(f"{address}/api") as client:
            wait_for(lambda: bool(client.read_deployments()), process)
            deployment = client.read_deployment_by_name("transcribe/stenoflow")
            options = {"segment_seconds": 30}
            given = {"source": str(meeting.path), "options": options}
            run = client.create_flow_run_from_deployment(deployment.id, parameters=given)
            wait_for(lambda: api.busy > 0, process)
            client.set_flow_run_state(run.id, Cancelling())
            wait_for(lambda: client.read_flow_run(run.id).state_name == "Cancelled", process)
        sent = len(api.calls)
        assert 0 < sent < 8
        (job,) = [json.loads(line) for line in stenoflow("jobs", "--json").out.splitlines()]
        assert job["state"] == "interrupted"
    resumed = stenoflow("resume", job["job"], "--json").line
    assert (resumed["status"], resumed["reused"], len(api.calls)) == ("complete", sent, resumed["segments"])


@contextmanager
def prefect_client(api_url: str) -> Iterator[SyncPrefectClient]:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        yield client


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - to be refused
def test_it_is_not_open_to_everybody(stenoflow: Command, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    printed = stenoflow("serve", "--host", host)
    assert printed.exit_code == 2
    assert "STENOFLOW_DASHBOARD_AUTH" in printed.err
