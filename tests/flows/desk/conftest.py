"""The desk over a real socket, behind its login, on a home with a few recordings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stenoflow.flows.dashboard_app import Login, LoginCheck
from stenoflow.flows.desk.app import DeskBefore, create_desk
from stenoflow.flows.desk.prefect_api import PrefectApi
from stenoflow.tasks.engine.access import HostCheck
from stenoflow.tasks.settings import load_settings
from tests.artifacts.chromium import chromium, find_chromium
from tests.flows.conftest import Command, Meeting, write_settings
from tests.flows.test_dashboard_app import served
from tests.instrument.recording import script, write
from tests.waiting import FOREVER

LOGIN = Login("stenoflow:secret")


@dataclass(frozen=True)
class Desk:
    """A desk that is served."""

    url: str
    http: httpx.Client
    prefect: StandIn

    @property
    def link(self) -> str:
        """What logs a browser in."""
        return f"{self.url}/login?token={LOGIN.link_token}"

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form, as its page does."""
        return self.http.post(path, data={"csrf": LOGIN.csrf, **fields})

    def text(self, path: str) -> str:
        """Return a page."""
        return self.http.get(path).raise_for_status().text


class StandIn:
    """Stands in for Prefect's app: notes what it is asked for; has the runs and artifacts it is told of."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.running: list[dict[str, Any]] = []
        self.artifacts: set[str] = set()

    async def __call__(self, request: Request) -> Response:
        path = request.url.path
        if path == "/api/csrf-token":
            return JSONResponse({"token": "t", "client": request.query_params["client"]})
        if path.startswith("/api/artifacts/"):
            return JSONResponse({}, 200 if path.split("/")[3] in self.artifacts else 404)
        if path.startswith("/api/deployments/name/"):
            return JSONResponse({"id": path.split("/")[4]})
        if request.method == "POST":
            if request.headers.get("prefect-csrf-token") != "t":
                return JSONResponse({}, 403)
            self.asked.append((path, await request.json()))
            return JSONResponse(self.running if path.endswith("/filter") else {"id": "run"})
        return PlainTextResponse(f"Prefect's {path}")


@contextmanager
def desk_served() -> Iterator[Desk]:
    """Serve the desk of the home that the environment names."""
    stand_in = StandIn()
    prefect = Starlette(routes=[Route("/{path:path}", stand_in.__call__, methods=["GET", "POST"])])
    app = HostCheck(
        LoginCheck(
            DeskBefore(create_desk(load_settings, PrefectApi.of_app(prefect), LOGIN.derived), prefect), LOGIN
        )
    )
    with (
        served(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=FOREVER, trust_env=False) as http,
    ):
        http.get(f"/login?token={LOGIN.link_token}").raise_for_status()
        yield Desk(f"http://127.0.0.1:{port}", http, stand_in)


@pytest.fixture(scope="session")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Meeting:
    """Four minutes of numbers in a format that every Chromium plays."""
    words = script(240)
    path = tmp_path_factory.mktemp("meeting") / "weekly meeting.flac"
    return Meeting(write(path, words, 240), words, 240)


@pytest.fixture(scope="session")
def desk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all tests of the desk."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture
def tmp_path(desk_folder: Path) -> Path:
    """An empty folder, at one path for all tests: what is stored names it."""
    folder = desk_folder / "test"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture
def transcribed(
    stenoflow: Command, api: object, meeting: Meeting, tmp_path: Path, desk_folder: Path
) -> dict[str, Any]:
    """A recording in an inbox of the settings that was transcribed, under a tag: once, for all tests."""
    assert api
    kept = desk_folder / "transcribed"
    if not kept.exists():
        inbox = tmp_path / "inbox"
        inbox.mkdir()
        source = inbox / meeting.path.name
        source.write_bytes(meeting.path.read_bytes())
        write_settings(f'[[inboxes]]\nname = "meetings"\naddress = "{inbox}"\n\n[budgets]\nmonth = 30\n')
        options = ("--tag", "board & <co>", "--segment-seconds", "60", "--json")
        (tmp_path / "line.json").write_text(stenoflow("transcribe", source, *options).out)
        shutil.copytree(tmp_path, kept)
    else:
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    line: dict[str, Any] = json.loads((tmp_path / "line.json").read_text())
    return line


@pytest.fixture
def desk(transcribed: dict[str, Any]) -> Iterator[Desk]:
    assert transcribed["status"] == "complete"
    with desk_served() as running:
        yield running


@pytest.fixture
def browser(desk: Desk) -> Iterator[Browser]:
    """A browser; it begins after all commands have ended, which have event loops of their own."""
    assert desk.url
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    with chromium() as running:
        yield running
