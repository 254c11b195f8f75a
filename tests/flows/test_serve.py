"""`stenoflow serve`: dashboard, deployments and runner in one process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import expect

from tests.artifacts.chromium import chromium, find_chromium, open_page
from tests.flows.conftest import Command, Meeting, write_settings
from tests.flows.processes import command, descendants, is_in_prefects_database, wait_for, wait_until_gone
from tests.servers.audio_api import AudioApiServer
from tests.servers.s3 import Bucket, Queue
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


def _states_of(client: SyncPrefectClient, name: str) -> set[str]:
    runs = [client.read_flow_run(UUID(each)) for each in _runs_of(client, name)]
    return {run.state.type.value for run in runs if run.state is not None}


def _runs_of(client: SyncPrefectClient, name: str) -> list[str]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    named = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    return [str(run.id) for run in client.read_flow_runs(flow_run_filter=named)]


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server in which no test before has left deployments, or runs that `serve` would begin anew."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "served"))


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
    shutil.copy(meeting.path, inbox / "board of trustees.mp3")
    said = f'[[inboxes]]\nname = "meetings"\naddress = "{inbox}"\nevery = 5\n'
    write_settings(said)
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        address = address_of(link)
        assert {path.stat().st_mode & 0o777 for path in home.glob("dashboard.*")} == {0o600}
        with httpx.Client(base_url=address, timeout=FOREVER) as http:
            assert http.post("/api/flow_runs/filter", json={}).status_code == 401
            assert "Log in" in http.get("/", headers={"Accept": "text/html"}).text
            assert http.get(link).is_success
            assert "Log in" not in http.get("/", follow_redirects=True).text
            assert http.get("/api/health").json() is True
            # Where the pages look for the server: wherever they came from.
            assert http.get("/ui-settings").json()["api_url"] == "/api"
            # Without a token, nobody changes anything.
            assert http.post("/api/flow_runs/filter", json={}).status_code == 403
        again = stenoflow("serve", "--port", "0")
        assert again.exit_code == 2
        assert f"already: {address}" in again.err
        wait_for(lambda: "board of trustees.mp3" in _complete(home), process)
        with prefect_client(address, home) as client:
            wait_for(lambda: {"ingest", "recover", "verify"} <= _scheduled(client), process)
            runs = _runs_of(client, "board of trustees.mp3")
        (inbox / "board of trustees.mp3").unlink()
        with command(
            ["forget", (inbox / "board of trustees.mp3").as_uri(), "--yes", "--json"], tmp_path
        ) as forgetting:
            told, said = forgetting.communicate()
        assert (json.loads(told)["flow_runs"], said) == (len(runs), "")
        wait_for(lambda: not is_in_prefects_database("board of trustees.mp3"), process)
        # Nor as it stands in an address.
        wait_for(lambda: not is_in_prefects_database("board%20of%20trustees.mp3"), process)
        started = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait()
        wait_until_gone(started)
    assert len(api.calls) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("stenoflow", "api", "own_server")
def test_what_a_queue_announces_is_taken_before_the_next_look(
    home: Path, bucket: Bucket, queue: Queue, meeting: Meeting, tmp_path: Path
) -> None:
    # The look that is due at the start finds nothing, and the next one is a day away.
    address = f"{bucket.url}/in/"
    write_settings(
        f'[[inboxes]]\nname = "heard"\naddress = "{address}"\nevery = 86400\nqueue = "{queue.url}"\n'
    )
    queue.say("hello")
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        served = address_of(process.stdout.readline().strip())
        told = process.stderr
        assert told is not None
        wait_for(lambda: "is passed over" in told.readline(), process)
        with prefect_client(served, home) as client:
            wait_for(lambda: "ingest" in _scheduled(client), process)
        bucket.put("in/town hall.mp3", meeting.path.read_bytes())
        queue.announce(bucket.name, "in/town hall.mp3")
        wait_for(lambda: _complete(home) == ["town hall.mp3"], process)
    assert queue.left() == 1


def test_a_queue_that_cannot_be_read_ends_it_at_once(
    stenoflow: Command, bucket: Bucket, queue: Queue, tmp_path: Path
) -> None:
    said = '[[inboxes]]\nname = "heard"\naddress = "{}"\nqueue = "{}"\n'
    write_settings(said.format(f"{bucket.url}/in/", f"{queue.url}-none"))
    refused = stenoflow("serve", "--port", "0")
    assert (refused.exit_code, "sqs:ReceiveMessage" in refused.err) == (2, True)
    write_settings(said.format(tmp_path, queue.url))
    refused = stenoflow("serve", "--port", "0")
    assert (refused.exit_code, "no queue can tell of it" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('name = "a"\naddress = "."\noptions = {language = "xx"}', "the language 'xx' is not known"),
        ('name = "a"\naddress = "."\noptions = {formats = ["pdf"]}', "pdf"),
        ('name = "a"\naddress = "s3://"', "no bucket"),
        ('name = "a"\naddress = "."\ndone_to = "done"', "lies in the inbox"),
        ('name = "a"\naddress = "x"\n[[inboxes]]\nname = "a"\naddress = "y"', "several inboxes"),
        ('name = "stenoflow"\naddress = "."', "can be called stenoflow"),
    ],
)
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("deploy", "--pool", "x")])
def test_an_inbox_that_can_never_be_right_ends_it_at_once(
    stenoflow: Command, command: tuple[str, ...], said: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command[0] == "deploy":
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    write_settings(f"[[inboxes]]\n{said}\n")
    refused = stenoflow(*command)
    words = " ".join(refused.err.split())
    assert (refused.exit_code, "the inbox " in words, why in words) == (2, True, True), words


@pytest.mark.slow
@pytest.mark.usefixtures("stenoflow", "api")
def test_a_folder_that_is_missing_is_said_and_taken_once_it_is_there(
    home: Path, meeting: Meeting, tmp_path: Path
) -> None:
    inbox = tmp_path / "mounted later"
    write_settings(f'[[inboxes]]\nname = "late"\naddress = "{inbox}"\nevery = 5\n')
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = process.stderr.readline()
        assert f"The inbox late cannot be looked into: there is no folder {inbox}" in told
        link = process.stdout.readline().strip()
        with httpx.Client(base_url=address_of(link), timeout=FOREVER) as http:
            assert http.get(link).is_success

            def health() -> str:
                return " ".join(http.get("/desk/health").raise_for_status().text.split())

            wait_for(lambda: "No look has succeeded yet" in health(), process)
            assert f"there is no folder {inbox}" in health()
            assert "Nothing needs a person" not in health()
            inbox.mkdir()
            shutil.copy(meeting.path, inbox / "talk.mp3")
            wait_for(lambda: "talk.mp3" in _complete(home), process)
            wait_for(lambda: "Nothing needs a person" in health(), process)


@pytest.mark.slow
@pytest.mark.usefixtures("stenoflow", "api", "own_server")
def test_an_inbox_whose_look_was_killed_is_looked_into_after_the_next_start(
    home: Path, meeting: Meeting, tmp_path: Path
) -> None:
    inbox = tmp_path / "look"
    inbox.mkdir()
    shutil.copy(meeting.path, inbox / "board of trustees.mp3")
    said = f'[[inboxes]]\nname = "meetings"\naddress = "{inbox}"\nevery = 5\n'
    write_settings(said)
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        address = address_of(process.stdout.readline().strip())
        with prefect_client(address, home) as client:
            wait_for(lambda: "RUNNING" in _states_of(client, "look"), process)
        for each in [process.pid, *descendants(process.pid)]:
            os.kill(each, signal.SIGKILL)
    assert _complete(home) == []
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        wait_for(lambda: "board of trustees.mp3" in _complete(home), process)


@pytest.mark.slow
@pytest.mark.usefixtures("own_server")
def test_a_run_that_is_cancelled_in_the_dashboard_keeps_what_is_paid(
    stenoflow: Command, api: AudioApiServer, meeting: Meeting, home: Path, tmp_path: Path
) -> None:
    from prefect.states import Cancelling

    api.delay_s = 3.0
    with command(["serve", "--port", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        address = address_of(process.stdout.readline().strip())
        with prefect_client(address, home) as client:
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


@pytest.mark.slow
@pytest.mark.usefixtures("stenoflow", "own_server")
def test_a_desk_leaves_all_flow_runs_to_the_workers_of_its_server(
    home: Path, api: AudioApiServer, meeting: Meeting, tmp_path: Path
) -> None:
    with command(["serve", "--port", "0", "--limit", "0"], tmp_path / "here") as process:
        assert process.stdout is not None
        address = address_of(process.stdout.readline().strip())
        theirs = {
            "PREFECT_API_URL": f"{address}/api",
            "PREFECT_API_AUTH_STRING": (home / "dashboard.secret").read_text("utf-8"),
        }
        with prefect_client(address, home) as client:
            assert client.read_deployments() == []
            elsewhere = os.environ | theirs | {"PREFECT_HOME": str(tmp_path / "prefect")}
            program = "from stenoflow.flows.cli import main; main()"
            root = Path(__file__).parents[2]
            subprocess.run(
                [sys.executable, "-c", program, "deploy", "--pool", "ours"],
                env=elsewhere,
                cwd=root,
                check=True,
            )
            deployment = client.read_deployment_by_name("transcribe/stenoflow")
            run = client.create_flow_run_from_deployment(
                deployment.id, parameters={"source": str(meeting.path)}
            )
            waiting = {each.id for each in client.read_flow_runs() if each.state_name == "Scheduled"}
            assert run.id in waiting
            worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "ours", "--limit", "1"]
            with subprocess.Popen(worker, env=elsewhere, cwd=root, start_new_session=True) as working:
                try:
                    wait_for(lambda: client.read_flow_run(run.id).state_name == "Completed", process)
                finally:
                    os.killpg(working.pid, signal.SIGTERM)
        started = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        wait_until_gone(started)
    assert (_complete(home), len(api.calls)) == ([meeting.path.name], 1)
    assert not list(home.glob("*.url"))


_ATTACK = """
async ([address, id]) => {
  const steps = [{"prefect.deployments.steps.run_shell_script": {"script": "env > /tmp/stolen"}}];
  const asked = {};
  for (const [what, path, options] of [
    ["token", "/api/csrf-token?client=evil", {}],
    ["token with cookies", "/api/csrf-token?client=evil", {credentials: "include"}],
    ["patch", `/api/deployments/${id}`, {method: "PATCH", body: JSON.stringify({pull_steps: steps}),
      headers: {"Content-Type": "application/json"}, credentials: "include"}],
    ["simple request", `/api/deployments/${id}/create_flow_run`, {method: "POST", body: "{}",
      headers: {"Content-Type": "text/plain"}, credentials: "include"}],
  ]) {
    try {
      const answer = await fetch(address + path, options);
      asked[what] = `${answer.status} ${await answer.text()}`;
    } catch (error) { asked[what] = error.name; }
  }
  return asked;
}
"""
_OWN_ATTACK = """
async (id) => {
  const client = "own";
  const {token} = await (await fetch(`/api/csrf-token?client=${client}`)).json();
  const headers = {
    "Content-Type": "application/json", "Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client};
  const send = async (body) => {
    // Prefect answers 503 while its database is busy.
    for (;;) {
      const answer = await fetch(
        `/api/deployments/${id}`, {method: "PATCH", body: JSON.stringify(body), headers});
      if (answer.status !== 503) return answer;
    }
  };
  const steps = [{"prefect.deployments.steps.run_shell_script": {"script": "id"}}];
  return [(await send({description: "ours"})).status, (await send({pull_steps: steps})).status,
          (await send({entrypoint: "/tmp/evil.py:flow"})).status];
}
"""


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_the_link_logs_a_browser_in_and_no_page_of_another_origin_gets_anything(
    home: Path, tmp_path: Path
) -> None:
    with command(["serve", "--port", "0"], tmp_path / "here") as process, chromium() as browser:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        address = address_of(link)
        with prefect_client(address, home) as client:
            wait_for(lambda: bool(client.read_deployments()), process)
            deployment = client.read_deployment_by_name("transcribe/stenoflow")
            wait_for(lambda: len(client.read_deployments()) >= 7, process)
            # Of tests before, which share Prefect's database.
            before = _count_runs(client, deployment.id)
            with open_page(browser) as page:
                page.goto(address)
                expect(page.get_by_role("button", name="Log in")).to_be_visible()
                page.goto(link)
                page.wait_for_url(lambda url: "/login" not in url)
                page.goto(f"{address}/deployments")
                expect(page.get_by_text("ingest recording").first).to_be_visible()
                ours = page.evaluate(_OWN_ATTACK, str(deployment.id))
                # A page at another port of the same machine is of the same site: it has the cookie.
                with web_page("<title>evil</title>") as evil:
                    page.goto(evil)
                    got = page.evaluate(_ATTACK, [address, str(deployment.id)])
            after = client.read_deployment_by_name("transcribe/stenoflow")
            started = _count_runs(client, deployment.id) - before
    assert ours == [204, 403, 403]
    assert got == dict.fromkeys(("token", "token with cookies", "patch", "simple request"), "TypeError")
    assert (after.description, after.pull_steps or [], started) == ("ours", [], 0)


def _count_runs(client: SyncPrefectClient, deployment_id: UUID) -> int:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId

    of_it = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
    return len(client.read_flow_runs(flow_run_filter=of_it))


@contextmanager
def web_page(html: str) -> Iterator[str]:
    """Serve a page of an origin of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def address_of(link: str) -> str:
    """Return the dashboard's address from the link that `serve` prints."""
    address, _, token = link.partition("/login?token=")
    assert len(token) == 64, link
    return address


@contextmanager
def prefect_client(address: str, home: Path) -> Iterator[SyncPrefectClient]:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    auth = (home / "dashboard.secret").read_text("utf-8")
    theirs = {PREFECT_API_URL: f"{address}/api", PREFECT_API_AUTH_STRING: auth}
    with temporary_settings(theirs), get_client(sync_client=True) as client:
        yield client


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - to be refused
def test_it_is_not_open_to_everybody(stenoflow: Command, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    printed = stenoflow("serve", "--host", host)
    assert printed.exit_code == 2
    assert "STENOFLOW_DASHBOARD_AUTH" in printed.err
